//! Ring 1: how new values become codes, the statistics of stochastic rounding, and what it is for. No GPU.

mod common;

use common::training::{codes, frozen, gather, stochastic, symmetric, symmetric_format, update};
use qembed::philox::RandomKey;
use qembed::reference::{self, NewHeader, Ruler};
use qembed::training::{Optimizer, Rounding, TrainingSpec, UpdateStep, training_formats};
use qembed::{Bits, Format, Header, Params, cpu};

const S8H32: Format = symmetric_format(Bits::B8, Params::F32);

/// 2^32, of which a draw is a fraction.
const WHOLE: f64 = 4_294_967_296.0;

// Codes.

/// The words of a row of one word of codes.
fn words(format: Format, values: &[f32], rounding: Rounding, draw: u32) -> Vec<u32> {
    let (header, ruler) = match format {
        Format::Symmetric { .. } => {
            let ruler = Ruler::symmetric(0.5, format).unwrap();
            (NewHeader::Step(0.5), ruler)
        }
        _ => {
            let header = Header {
                scale: 0.5,
                bias: -1.0,
            };
            (NewHeader::Affine(header), Ruler::affine(header, format))
        }
    };
    let mut words = vec![0xdead_beef; format.row_words(values.len() as u32) as usize];
    reference::write(
        values,
        format,
        (header, ruler),
        (rounding, |_| draw),
        &mut words,
    );
    words
}

/// 0.5 and -1 are 0x3800 and 0xbc00 in f16.
#[test]
fn rows_are_written_word_by_word() {
    let words = |format, values: &[f32]| words(format, values, Rounding::Nearest, 0);
    // -4 / 0.5 = -8, 3.5 / 0.5 = 7, -0.5 / 0.5 = -1, 0.25 / 0.5 = a tie, 0; 0.75 / 0.5 = a tie, 2.
    let values = [-4.0, 3.5, -0.5, 0.25, 0.75];
    let s4h16 = symmetric_format(Bits::B4, Params::F16);
    assert_eq!(words(s4h16, &values), [0x3800, 0x2_0f78]);
    let s4h32 = symmetric_format(Bits::B4, Params::F32);
    assert_eq!(words(s4h32, &values), [0x3f00_0000, 0x2_0f78]);
    // Two bits: -2, 1, -1, 0 and 1, clipped.
    let s2h16 = symmetric_format(Bits::B2, Params::F16);
    assert_eq!(words(s2h16, &values), [0x3800, 0b01_00_11_01_10]);
    // Eight bits: a second word.
    assert_eq!(words(S8H32, &values), [0x3f00_0000, 0x00ff_07f8, 0x02]);
    // Affine, less the bias: -6 and 9 steps, 1, 2.5 and 3.5, ties both.
    let q4h16 = Format::affine(Bits::B4);
    assert_eq!(words(q4h16, &values), [0xbc00_3800, 0x4_2190]);
    let q2h16 = Format::affine(Bits::B2);
    assert_eq!(words(q2h16, &values), [0xbc00_3800, 0b11_10_01_11_00]);
    let q8h32 = Format::affine(Bits::B8);
    assert_eq!(
        words(q8h32, &[-9.0, 200.0, 126.5]),
        [0x3f00_0000, 0xbf80_0000, 0xff_ff00]
    );
}

/// 2.25 steps become 3 by the draws below 2^30, a quarter of all; -2.25 become -2 by three quarters.
#[test]
fn draws_below_the_fraction_round_up() {
    const QUARTER: u32 = 1 << 30;
    for format in training_formats() {
        // Of two bits symmetric rows have no 2.25: one step less.
        let shift = match (format, format.bits().unwrap()) {
            (Format::Symmetric { .. }, Bits::B2) => -2,
            _ => 0,
        };
        let ruler = match format {
            Format::Symmetric { .. } => Ruler::symmetric(1.0, format).unwrap(),
            _ => Ruler {
                step: 1.0,
                bias: 0.0,
                low: 0.0,
                high: format.bits().unwrap().max_code() as f32,
            },
        };
        let code = |steps: f32, draw| {
            let code = ruler.code(steps + shift as f32, Rounding::Stochastic, draw);
            code - shift
        };
        assert_eq!((code(2.25, 0), code(2.25, QUARTER - 1)), (3, 3), "{format}");
        assert_eq!(
            (code(2.25, QUARTER), code(2.25, u32::MAX)),
            (2, 2),
            "{format}"
        );
        for draw in [0, QUARTER, u32::MAX] {
            // A code itself stays, whatever is drawn, and so do both ends and what lies beyond.
            assert_eq!(code(2.0, draw), 2, "{format}");
            let (low, high) = (ruler.low as i32 - shift, ruler.high as i32 - shift);
            for (value, end) in [
                (low as f32, low),
                (-1e9, low),
                (high as f32, high),
                (1e9, high),
            ] {
                assert_eq!(code(value, draw), end, "{format}");
            }
        }
    }
    let ruler = Ruler::symmetric(1.0, S8H32).unwrap();
    let code = |draw| ruler.code(-2.25, Rounding::Stochastic, draw);
    assert_eq!((code(0), code(3 * QUARTER - 1)), (-2, -2));
    assert_eq!((code(3 * QUARTER), code(u32::MAX)), (-3, -3));
    // Beyond the last bit of a draw: 2^-33 is never up; -2^-33, whose fraction rounds to one, always.
    let tiny = 0.5f32.powi(33);
    assert!(!reference::is_rounded_up(tiny, 0));
    assert!(reference::is_rounded_up(-tiny, u32::MAX));
}

// Statistics.

/// Rounds `rows` x `dim` values of `fraction` steps and says which went up.
type Rounder = dyn Fn(f32, RandomKey) -> Vec<bool>;

const ROWS: usize = 128;
const DIM: usize = 64;

/// Logarithm of what a bound is exceeded with: below 2e-9 on either side together, as six standard
/// deviations of a normal distribution.
const CONFIDENCE: f64 = 20.7;

/// Bernstein: a sum of `n` independent bits of mean `p` is off by more than this with a probability of
/// `2 exp(-CONFIDENCE)`.
fn rate_bound(n: f64, p: f64) -> f64 {
    let linear = CONFIDENCE / 3.0;
    linear + (linear * linear + 2.0 * CONFIDENCE * n * p * (1.0 - p)).sqrt()
}

/// Hoeffding: the mean of `n` products of independent signs is off zero by more than this with the same
/// probability. (Products of neighbours in a chain of independent fair signs are independent fair signs.)
fn correlation_bound(n: f64) -> f64 {
    (2.0 * CONFIDENCE / n).sqrt()
}

const KEY: RandomKey = RandomKey {
    seed: 0x0123_4567_89ab_cdef,
    table: 2,
    step: 1,
};

/// The first property of stochastic rounding that does not hold.
fn check_rounding(round: &Rounder) -> Result<(), String> {
    check_rates(round)?;
    check_correlations(round)
}

/// Up as often as the fraction says, from tiny to nearly one.
fn check_rates(round: &Rounder) -> Result<(), String> {
    const STEPS: u32 = 8;
    let near_one = 1.0 - 0.5f32.powi(14);
    let fractions = [
        1e-6,
        1e-4,
        1e-3,
        0.003,
        0.01,
        0.1,
        0.25,
        1.0 / 3.0,
        0.5,
        0.7,
        0.9,
        0.99,
        0.999,
        near_one,
    ];
    for fraction in fractions {
        let ups: usize = (1..=STEPS)
            .map(|step| round(fraction, RandomKey { step, ..KEY }))
            .map(|ups| ups.iter().filter(|up| **up).count())
            .sum();
        let n = f64::from(STEPS) * (ROWS * DIM) as f64;
        let p = (f64::from(fraction) * WHOLE).floor() / WHOLE;
        if (ups as f64 - n * p).abs() > rate_bound(n, p) {
            return Err(format!("rate of {fraction}: {ups} of {n}"));
        }
    }
    Ok(())
}

/// Of halves, whose ups are fair signs: none goes with another.
fn check_correlations(round: &Rounder) -> Result<(), String> {
    let signs = |key| -> Vec<f64> {
        let ups = round(0.5, key);
        ups.iter().map(|up| if *up { 1.0 } else { -1.0 }).collect()
    };
    let check = |name: &str, pairs: &mut dyn Iterator<Item = (f64, f64)>| {
        let products: Vec<f64> = pairs.map(|(a, b)| a * b).collect();
        let n = products.len() as f64;
        let correlation = products.iter().sum::<f64>() / n;
        if correlation.abs() > correlation_bound(n) {
            return Err(format!("{name}: correlation {correlation}"));
        }
        Ok(())
    };
    let here = signs(KEY);
    let at = |row: usize, column: usize| here[row * DIM + column];
    for lag in [1, 2, 3, 4, 5, 8, 16, 32] {
        let of_row = |row| (lag..DIM).map(move |column| (at(row, column), at(row, column - lag)));
        check(
            &format!("columns {lag} apart"),
            &mut (0..ROWS).flat_map(of_row),
        )?;
        let of_row = |row| (0..DIM).map(move |column| (at(row, column), at(row - lag, column)));
        check(
            &format!("rows {lag} apart"),
            &mut (lag..ROWS).flat_map(of_row),
        )?;
    }
    let others = [
        (
            "steps",
            RandomKey {
                step: KEY.step + 1,
                ..KEY
            },
        ),
        (
            "tables",
            RandomKey {
                table: KEY.table + 1,
                ..KEY
            },
        ),
        (
            "seeds",
            RandomKey {
                seed: KEY.seed + 1,
                ..KEY
            },
        ),
        (
            "high seeds",
            RandomKey {
                seed: KEY.seed + (1 << 32),
                ..KEY
            },
        ),
    ];
    for (name, key) in others {
        let there = signs(key);
        check(name, &mut here.iter().copied().zip(there))?;
    }
    Ok(())
}

/// The update itself: rows of zeros and step 1, less a gradient of `-fraction`.
fn by_update(fraction: f32, key: RandomKey) -> Vec<bool> {
    let row: &[i32] = &[0; DIM];
    let mut table = symmetric(S8H32, &[(1.0, row); ROWS]);
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let gradient = vec![-fraction; ROWS * DIM];
    let step = UpdateStep {
        key,
        ..stochastic(1.0)
    };
    let batch = (gather(&rows), &gradient[..]);
    let spec = frozen(S8H32, Optimizer::Sgd);
    update(&mut table, &mut [], batch, (spec, step)).unwrap();
    let codes = (0..ROWS).flat_map(|row| codes(&table, row));
    codes.map(|code| code == 1).collect()
}

/// The same rule with draws of another kind.
fn by_draws(draw: impl Fn(RandomKey, u32, u32) -> u32 + 'static) -> Box<Rounder> {
    Box::new(move |fraction, key| {
        let ruler = Ruler::symmetric(1.0, S8H32).unwrap();
        let at = |at: usize| draw(key, (at / DIM) as u32, (at % DIM) as u32);
        (0..ROWS * DIM)
            .map(|element| ruler.code(fraction, Rounding::Stochastic, at(element)) == 1)
            .collect()
    })
}

#[test]
fn stochastic_rounding_is_unbiased_and_uncorrelated() {
    check_rounding(&by_update).unwrap();
    // The draws are those of the key, row and column.
    let same = by_draws(|key, row, column| key.draw(row, column));
    assert_eq!(by_update(0.3, KEY), same(0.3, KEY));
}

/// What others have shipped, one defect at a time.
#[test]
fn planted_defects_are_caught() {
    let caught = |draw: fn(RandomKey, u32, u32) -> u32, what: &str| {
        let problem = check_rounding(&*by_draws(draw)).unwrap_err();
        assert!(problem.starts_with(what), "{what}: {problem}");
    };
    // All elements of a row share one number: rows stay unbiased, the errors of their elements are one.
    let shared: fn(RandomKey, u32, u32) -> u32 = |key, row, _| key.draw(row, 0);
    assert!(
        check_correlations(&*by_draws(shared))
            .unwrap_err()
            .starts_with("columns 1 apart")
    );
    assert!(check_rounding(&*by_draws(shared)).is_err());
    // Four columns share the first word of their block.
    caught(
        |key, row, column| key.draw(row, column / 4 * 4),
        "columns 1 apart",
    );
    // A column's draw whatever the row.
    let shared: fn(RandomKey, u32, u32) -> u32 = |key, _, column| key.draw(0, column);
    assert!(
        check_correlations(&*by_draws(shared))
            .unwrap_err()
            .starts_with("rows 1 apart")
    );
    // The step left out: every step repeats the errors of the last.
    let still: fn(RandomKey, u32, u32) -> u32 =
        |key, row, column| RandomKey { step: 0, ..key }.draw(row, column);
    assert!(
        check_correlations(&*by_draws(still))
            .unwrap_err()
            .starts_with("steps")
    );
    // The table left out.
    caught(
        |key, row, column| RandomKey { table: 0, ..key }.draw(row, column),
        "tables",
    );
    // The seed stuck, or its high half.
    caught(
        |key, row, column| RandomKey { seed: 0, ..key }.draw(row, column),
        "seeds",
    );
    let low: fn(RandomKey, u32, u32) -> u32 = |key, row, column| {
        let seed = key.seed & u64::from(u32::MAX);
        RandomKey { seed, ..key }.draw(row, column)
    };
    caught(low, "high seeds");
    // Too few random bits: fractions below 2^-8 go up as often as 2^-8 does.
    caught(
        |key, row, column| key.draw(row, column) & 0xff00_0000,
        "rate of 0.000001",
    );
    // Rounded to nearest, and never up.
    caught(|_, _, _| 1 << 31, "rate of 0.001");
    caught(|_, _, _| u32::MAX, "rate of 0.001");
}

// What it is for.

/// (w - 0.5037)^2 / 2 from 0, in steps of 0.01 at a rate of 0.005: 2000 numbers, 5000 updates.
fn minimize(rounding: Rounding) -> Vec<f64> {
    const TARGET: f32 = 0.5037;
    let row: &[i32] = &[0; 16];
    let table = symmetric(S8H32, &[(0.01, row); 125]);
    let spec = TrainingSpec {
        rounding,
        ..TrainingSpec::lpt(Optimizer::Sgd, 2024)
    };
    let mut training = cpu::Training::new(table, spec).unwrap();
    let rows: Vec<u32> = (0..125).collect();
    let batch = gather(&rows);
    for _ in 0..5000 {
        let gradient: Vec<f32> = reference::dequantize(training.table())
            .iter()
            .map(|value| value - TARGET)
            .collect();
        training.backward_update(&batch, &gradient, 0.005).unwrap();
    }
    let values = reference::dequantize(training.table());
    values.into_iter().map(f64::from).collect()
}

/// An update of 0.0025 is a quarter of a step: rounded to nearest it is lost, every time.
#[test]
fn nearest_never_leaves_its_start() {
    assert!(
        minimize(Rounding::Nearest)
            .iter()
            .all(|value| *value == 0.0)
    );
}

/// The mean is the optimum within four standard errors, the spread the error ball of about half a step.
#[test]
fn stochastic_rounding_finds_the_optimum() {
    let values = minimize(Rounding::Stochastic);
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let standard_error = (variance / n).sqrt();
    assert!(
        (mean - 0.5037).abs() <= 4.0 * standard_error,
        "{mean} +- {standard_error}"
    );
    assert!(variance.sqrt() <= 0.006, "{}", variance.sqrt());
}
