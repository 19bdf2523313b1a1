//! From flags to a method's parameters.

use qembed::{Format, Method};

use crate::args::Parameters;
use crate::failure::Failure;

/// The method with the parameters that were given.
pub fn tuned(mut method: Method, given: &Parameters) -> Result<Method, Failure> {
    let name = method.name();
    let has_no = |flag: &str| Failure::Usage(format!("--{flag}: {name} has none; leave it out"));
    if let Some(value) = given.bins {
        *bins(&mut method).ok_or_else(|| has_no("bins"))? = value;
    }
    if let Some(value) = given.ratio {
        *ratio(&mut method).ok_or_else(|| has_no("ratio"))? = value;
    }
    if let Some(value) = given.iterations {
        *iterations(&mut method).ok_or_else(|| has_no("iterations"))? = value;
    }
    if let Some(value) = given.blocks {
        *blocks(&mut method).ok_or_else(|| has_no("blocks"))? = Some(value);
    }
    Ok(method)
}

/// Refuses parameters out of range, as what they are on the command line.
pub fn check(method: Method, format: Format) -> Result<(), Failure> {
    method
        .check(format)
        .map_err(|error| Failure::Usage(format!("--{error}")))
}

fn bins(method: &mut Method) -> Option<&mut u32> {
    match method {
        Method::HistApprox { bins } | Method::HistBrute { bins } => Some(bins),
        Method::Greedy(search)
        | Method::GreedyTorch(search)
        | Method::GreedyPaper(search)
        | Method::Lsq { search, .. }
        | Method::Best { search, .. } => Some(&mut search.bins),
        _ => None,
    }
}

fn ratio(method: &mut Method) -> Option<&mut f64> {
    match method {
        Method::Greedy(search)
        | Method::GreedyTorch(search)
        | Method::GreedyPaper(search)
        | Method::Lsq { search, .. }
        | Method::Best { search, .. } => Some(&mut search.ratio),
        _ => None,
    }
}

fn iterations(method: &mut Method) -> Option<&mut u32> {
    match method {
        Method::Lsq { iterations, .. }
        | Method::Best { iterations, .. }
        | Method::Kmeans { iterations }
        | Method::KmeansCls { iterations, .. } => Some(iterations),
        _ => None,
    }
}

fn blocks(method: &mut Method) -> Option<&mut Option<u32>> {
    match method {
        Method::KmeansCls { blocks, .. } => Some(blocks),
        _ => None,
    }
}
