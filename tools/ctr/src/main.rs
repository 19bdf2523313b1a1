//! tuning
#![allow(dead_code, missing_docs)]
mod data;
mod embedding;
mod failure;
mod measure;
mod model;
mod random;
mod terminal;
mod training;
use clap::Parser;
use embedding::*;
use measure::mean_and_deviation;
use model::*;
use random::*;
#[derive(Parser, Clone)]
struct A {
    #[arg(long, default_value = "deepfm")]
    model: String,
    #[arg(long, default_value = "fp32", value_delimiter = ',')]
    methods: Vec<String>,
    #[arg(long, default_value = "8", value_delimiter = ',')]
    bits: Vec<u32>,
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    #[arg(long, default_value = "1", value_delimiter = ',')]
    step_scale: Vec<f32>,
    #[arg(long, default_value_t = 2e-3)]
    lr: f32,
    #[arg(long, default_value_t = 1e-3)]
    dlr: f64,
    #[arg(long, default_value_t = 0.0)]
    wd: f32,
    #[arg(long, default_value_t = 0.0)]
    dwd: f64,
    #[arg(long, default_value_t = 0.0)]
    dropout: f64,
    #[arg(long, default_value_t = 2048)]
    batch: usize,
    #[arg(long, default_value_t = 30)]
    epochs: usize,
    #[arg(long, default_value_t = 3)]
    patience: usize,
    #[arg(long, default_value_t = 0.03)]
    sigma: f64,
    #[arg(long, default_value = "64,32", value_delimiter = ',')]
    hidden: Vec<usize>,
    /// step for all bits, or by formula range/2^(b-1)
    #[arg(long, default_value_t = 0.0)]
    step: f32,
    #[arg(long, default_value_t = 0.0)]
    range: f32,
    /// relative to the initial step
    #[arg(long, default_value_t = 0.02)]
    slr: f32,
    #[arg(long, default_value_t = 1.0)]
    gscale: f32,
    #[arg(long, default_value_t = 0.01)]
    swd: f32,
    #[arg(long)]
    curve: bool,
}
fn main() {
    let a = A::parse();
    let t = terminal::Terminal;
    let samples = data::movielens(None, &t).map_err(|e| panic!("{e}")).unwrap();
    let split = data::Split::new(samples.len());
    let course = training::Course { batch: a.batch, epochs: a.epochs, patience: a.patience, learning_rate: a.dlr, weight_decay: a.dwd, dropout: a.dropout };
    let adam = Adam { learning_rate: a.lr, weight_decay: a.wd };
    let mut base: Vec<f64> = vec![];
    for method in &a.methods {
        let bits: &[u32] = if method == "fp32" { &[32] } else { &a.bits };
        for &bits in bits {
            let scales: &[f32] = if method == "fp32" { &[1.0] } else { &a.step_scale };
            for &scale in scales {
                let start = std::time::Instant::now();
                let (mut aucs, mut lls, mut eps, mut moved, mut rel) = (vec![], vec![], vec![], vec![], vec![]);
                for seed in 0..a.seeds {
                    let values = Random::new(seed, Stream::Table, 0).normals(samples.rows * DIM, a.sigma);
                    let model = match a.model.as_str() { "fm" => Model::Fm, "dcn" => Model::Dcn, _ => Model::Deepfm };
                    let network = Network::new(model, samples.fields, samples.rows, &a.hidden, seed).unwrap();
                    let mean = values.iter().map(|v| v.abs()).sum::<f32>() / values.len() as f32;
                    let high = ((1u32 << (bits.min(16) - 1)) - 1) as f32;
                    let first = if a.step > 0.0 { a.step } else if a.range > 0.0 { a.range / (1 << (bits.min(16) - 1)) as f32 } else { 2.0 * mean / high.sqrt() };
                    let step = first * scale;
                    let steps = vec![step; samples.rows];
                    let mut table: Box<dyn Embedding> = match method.as_str() {
                        "fp32" => Box::new(Full::new(values, adam)),
                        m => {
                            let learning = match m { "lpt-nearest" => Learning::Nearest, "lpt-stochastic" => Learning::Stochastic, _ => Learning::Steps(a.slr * first, a.swd) };
                            Box::new(Emulated::new(&values, steps, bits, adam, learning, seed, a.gscale))
                        }
                    };
                    let r = training::train(&samples, &split, &course, seed, &mut *table, &network).map_err(|e| panic!("{e}")).unwrap();
                    if a.curve { println!("{:.4?}", r.validation); }
                    aucs.push(r.auc); lls.push(r.log_loss); eps.push(r.validation.len() as f64);
                    if let Ok(Some(s)) = table.steps() {
                        moved.push(s.iter().map(|s| (s / step).ln().abs() as f64).sum::<f64>() / s.len() as f64);
                        rel.push(s.iter().map(|s| (s / first).ln() as f64).sum::<f64>() / s.len() as f64);
                    }
                }
                if base.is_empty() { base = aucs.clone(); }
                let d: Vec<f64> = aucs.iter().zip(&base).map(|(a, b)| a - b).collect();
                let (dm, ds) = mean_and_deviation(&d);
                let (m, s) = mean_and_deviation(&aucs);
                println!("{} {method:15} {bits:2} x{scale:<5} auc {m:.4} sd {s:.4} ll {:.4} epochs {:.1} moved {:.3} dir {:+.3} d-first {dm:+.4} se {:.4}  {:.1}s/run", a.model, mean_and_deviation(&lls).0, mean_and_deviation(&eps).0, mean_and_deviation(&moved).0, mean_and_deviation(&rel).0, ds / (a.seeds as f64).sqrt(), start.elapsed().as_secs_f64() / a.seeds as f64);
            }
        }
    }
}
