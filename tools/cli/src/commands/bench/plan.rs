//! What is measured, where, and in which company.

use super::point::{Point, Sweep, points};
use super::scale::Scale;
use super::subject::Subject;
use crate::args::Bench;
use crate::failure::Failure;

/// Subjects that are measured in turn, because their times are compared.
#[derive(Clone, Debug)]
pub struct Group {
    /// Where.
    pub point: Point,
    /// A lookup before its baselines.
    pub subjects: Vec<Subject>,
}

/// Which engine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Kernels on a GPU.
    Gpu,
    /// Those on the CPU.
    Cpu,
}

/// Every group of a run.
///
/// # Errors
/// Where a filter names no label.
pub fn plan(args: &Bench, scale: &Scale, engine: Engine) -> Result<Vec<Group>, Failure> {
    let mut groups: Vec<Group> = vec![];
    for (subject, sweep) in selection(&args.filter, scale, engine)? {
        for point in points(args, &subject, (scale, sweep)) {
            let Some(rival) = subject.rival() else {
                add(&mut groups, point, subject);
                continue;
            };
            // What it is compared with runs beside it, also where nobody asked for it.
            let at = add(&mut groups, point, rival);
            groups[at].subjects.push(subject);
        }
    }
    Ok(groups)
}

/// The group of a subject at a point, which is made where there is none.
fn add(groups: &mut Vec<Group>, point: Point, subject: Subject) -> usize {
    let same = |group: &Group| group.point == point && group.subjects[0] == subject;
    groups.iter().position(same).unwrap_or_else(|| {
        groups.push(Group {
            point,
            subjects: vec![subject],
        });
        groups.len() - 1
    })
}

/// The subjects that a filter selects from all, or the usual ones.
fn selection(
    filter: &[String],
    scale: &Scale,
    engine: Engine,
) -> Result<Vec<(Subject, Sweep)>, Failure> {
    let star = |star| if star { Sweep::Star } else { Sweep::Usual };
    let all = Subject::all();
    if filter.is_empty() {
        let on_cpu = |subject: &Subject| {
            let is_baseline = subject.rival().is_some();
            !is_baseline && *subject != Subject::Sort
        };
        let there = |subject: &Subject| engine == Engine::Gpu || on_cpu(subject);
        let usual = all.into_iter().filter(|s| scale.selects(s) && there(s));
        return Ok(usual.map(|s| (s, star(scale.sweeps(&s)))).collect());
    }
    let labels: Vec<_> = all.iter().map(Subject::label).collect();
    let mut selected = vec![false; all.len()];
    for text in filter {
        let exact = labels.iter().any(|label| label == text);
        let mut any = false;
        for (label, selected) in labels.iter().zip(&mut selected) {
            if label == text || !exact && label.contains(text.as_str()) {
                (*selected, any) = (true, true);
            }
        }
        if !any || text.is_empty() {
            return Err(unknown(text, &labels));
        }
    }
    let chosen = all.into_iter().zip(selected);
    let chosen = chosen.filter(|(_, selected)| *selected);
    Ok(chosen.map(|(s, _)| (s, star(s.is_swept()))).collect())
}

/// Names the labels that somebody may have meant.
fn unknown(text: &str, labels: &[String]) -> Failure {
    const NAMED: usize = 3;
    let mut near: Vec<_> = labels
        .iter()
        .map(|label| (distance(text, label), label))
        .collect();
    near.sort();
    let near: Vec<_> = near
        .iter()
        .take(NAMED)
        .map(|(_, label)| label.as_str())
        .collect();
    Failure::Usage(format!(
        "--filter: no label contains {text:?}; near ones: {}; a kernel's name, as lookup, quantize, dequantize, \
         update, sort, baseline or copy, selects all of its labels",
        near.join(", ")
    ))
}

/// Letters that differ between a text and the part of a label that is most like it: a label's other letters
/// count nothing before and behind it.
fn distance(text: &str, label: &str) -> (usize, usize) {
    let label: Vec<char> = label.chars().collect();
    let mut row = vec![0; label.len() + 1];
    for (done, letter) in text.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = done + 1;
        for at in 1..row.len() {
            let kept = diagonal + usize::from(label[at - 1] != letter);
            diagonal = row[at];
            row[at] = kept.min(row[at] + 1).min(row[at - 1] + 1);
        }
    }
    (row.into_iter().min().unwrap_or(0), label.len())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Command};

    fn bench(args: &str) -> Bench {
        let all = ["qembed", "bench"]
            .into_iter()
            .chain(args.split_whitespace());
        match Arguments::parse_from(all).command {
            Command::Bench(args) => args,
            _ => unreachable!("bench was asked for"),
        }
    }

    fn labels(args: &str, engine: Engine) -> Vec<String> {
        let groups = plan(&bench(args), &Scale::CPU, engine).unwrap();
        let labels = groups.iter().flat_map(|group| &group.subjects);
        labels.map(Subject::label).collect()
    }

    #[test]
    fn every_label_is_selected_by_its_name_alone() {
        let pinned = "--rows 4 --dim 8 --bags 2 --bag-length 3 --zipf 0 --filter";
        for subject in Subject::all() {
            let mut expected: Vec<_> = subject.rival().iter().map(Subject::label).collect();
            expected.push(subject.label());
            let args = format!("{pinned} {}", subject.label());
            assert_eq!(labels(&args, Engine::Gpu), expected);
        }
    }

    #[test]
    fn pinned_axes_are_combined() {
        let args = "--filter lookup.q4h16.sum.unweighted.f32 --rows 5,6 --dim 7,8 --bags 2 --bag-length 3 --zipf 0,1";
        let groups = plan(&bench(args), &Scale::CPU, Engine::Gpu).unwrap();
        assert_eq!(groups.len(), 8);
        let point = groups[0].point;
        assert_eq!((point.rows, point.dim, point.indices()), (5, 7, 6));
    }

    #[test]
    fn other_axes_are_swept_one_at_a_time() {
        let args = bench("--filter lookup.q4h16.sum.unweighted.f32");
        let groups = plan(&args, &Scale::CPU, Engine::Gpu).unwrap();
        // One usual point, three more dims, two lengths, two exponents.
        assert_eq!(groups.len(), 8);
        assert!(groups.iter().all(|group| group.point.indices() == 1 << 14));
        let pinned = bench("--filter lookup.q4h16.sum.unweighted.f32 --dim 9,10");
        assert_eq!(plan(&pinned, &Scale::CPU, Engine::Gpu).unwrap().len(), 10);
    }

    /// A gather has no bags, a quantize no batch.
    #[test]
    fn axes_that_change_nothing_make_no_points() {
        for label in ["lookup.q4h16.none.unweighted.f32", "quantize.q4h16.asym"] {
            let args = bench(&format!("--bag-length 1,16 --dim 8 --filter {label}"));
            assert_eq!(
                plan(&args, &Scale::CPU, Engine::Gpu).unwrap().len(),
                1,
                "{label}"
            );
        }
    }

    #[test]
    fn a_baseline_stands_beside_its_lookup() {
        let args = bench("--filter baseline.row,baseline.element --dim 8 --bag-length 2 --zipf 0");
        let groups = plan(&args, &Scale::CPU, Engine::Gpu).unwrap();
        assert_eq!(groups.len(), 1);
        let labels: Vec<_> = groups[0].subjects.iter().map(Subject::label).collect();
        let expected = [
            "lookup.q4h16.sum.unweighted.f32",
            "baseline.element",
            "baseline.row",
        ];
        assert_eq!(labels, expected);
    }

    #[test]
    fn the_cpu_has_no_baselines() {
        let usual = labels("", Engine::Cpu);
        assert!(usual.contains(&"copy".into()) && !usual.contains(&"sort".into()));
        assert!(!usual.iter().any(|label| label.starts_with("baseline")));
    }

    #[test]
    fn near_labels_are_named() {
        let args = bench("--filter lookup.q4h16.summ");
        let failure = plan(&args, &Scale::CPU, Engine::Gpu).unwrap_err();
        assert_eq!(failure.code(), 2);
        let text = failure.to_string();
        assert!(text.contains("lookup.q4h16.sum.weighted.f32"), "{text}");
        assert_eq!(distance("sart", "sort"), (1, 4));
    }
}
