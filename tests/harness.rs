//! Ring 0: plants defects and sees the comparators catch each. No GPU.

mod common;

use common::places;
use qembed::reference::quantize::Solver;
use qembed::reference::{self, LookupArgs, Pooled, StepArgs, UpdateArgs};
use qembed::shader::BatchedPlan;
use qembed::training::{self, UpdateSpec, training_formats};
use qembed::verify::batched::{BatchedData, BatchedVariant};
use qembed::verify::compare::{self, Fill, Outcome};
use qembed::verify::shapes::{Batch, Random};
use qembed::verify::training::{Learned, Updated, Weighed, learn_by, training_shapes, update_by};
use qembed::verify::{self, CpuEngine, Engine, Lookup, Quantized};
use qembed::{
    Bits, Format, IndexType, LookupPlan, LookupSpec, LookupStatus, Method, Output, PackedTable,
    Place, Pooling, Result, Weighting,
};

/// The reference as an engine, with a defect planted in what it gives.
struct Planted<F: Fn(Stage<'_>)> {
    defect: F,
}

/// What a defect may touch.
enum Stage<'a> {
    Lookup(&'a LookupSpec, &'a mut Lookup, usize),
    Batched(&'a BatchedData, &'a mut Lookup),
    Quantize(&'a mut Quantized),
    Dequantize(&'a mut Vec<f32>),
    /// The rows that were, and what became of them.
    Update(&'a PackedTable, &'a mut Updated),
    Learn(&'a mut Learned),
    Weigh(&'a mut Weighed),
}

impl<F: Fn(Stage<'_>)> Engine for Planted<F> {
    type Table = PackedTable;
    const SOLVER: Solver = Solver::Exact;
    const PLANS: &'static [LookupPlan] = &[];

    fn upload(&self, table: &PackedTable) -> Result<PackedTable> {
        Ok(table.clone())
    }

    fn lookup(
        &self,
        table: &PackedTable,
        (spec, _): (&LookupSpec, Option<LookupPlan>),
        batch: &Batch,
    ) -> Result<Lookup> {
        let pooled = reference::lookup(table, verify::reference_args(spec, batch))?;
        let round = |x: f64| match spec.output {
            Output::F32 => x as f32,
            Output::F16 => half::f16::from_f32(x as f32).to_f32(),
        };
        let mut lookup = Lookup {
            values: pooled.output.iter().map(|x| round(*x)).collect(),
            status: pooled.status,
            guards: Outcome::PASS,
        };
        (self.defect)(Stage::Lookup(spec, &mut lookup, table.dim() as usize));
        Ok(lookup)
    }

    const BATCHED_PLANS: &'static [BatchedPlan] = &[];
    const INDEX_TYPES: &'static [IndexType] = &[IndexType::U32];

    fn batched(&self, variant: &BatchedVariant, data: &BatchedData) -> Result<Lookup> {
        let expected = reference::batched(data.args(&data.tables(), variant.weighting))?;
        let mut lookup = Lookup {
            values: placed_values(variant.output, data, &expected),
            status: expected.status,
            guards: Outcome::PASS,
        };
        (self.defect)(Stage::Batched(data, &mut lookup));
        Ok(lookup)
    }

    fn quantize(
        &self,
        values: &[f32],
        dim: usize,
        format: Format,
        method: Method,
    ) -> Result<Quantized> {
        let (words, status) =
            verify::quantize_counting(values, dim as u32, (format, method), Self::SOLVER);
        let guards = Outcome::PASS;
        let mut quantized = Quantized {
            words,
            status,
            guards,
        };
        (self.defect)(Stage::Quantize(&mut quantized));
        Ok(quantized)
    }

    fn dequantize(&self, table: &PackedTable) -> Result<(Vec<f32>, Outcome)> {
        let mut values = reference::dequantize(table);
        (self.defect)(Stage::Dequantize(&mut values));
        Ok((values, Outcome::PASS))
    }

    fn update(&self, table: PackedTable, state: &[f32], args: UpdateArgs<'_>) -> Result<Updated> {
        let mut updated = update_by(reference::update, table.clone(), state, args)?;
        (self.defect)(Stage::Update(&table, &mut updated));
        Ok(updated)
    }

    fn learn(
        &self,
        table: PackedTable,
        states: [&[f32]; 2],
        halves: (UpdateArgs<'_>, StepArgs<'_>),
    ) -> Result<Learned> {
        let by = (reference::stage as _, reference::learn_steps as _);
        let mut learned = learn_by(by, table, states, halves)?;
        (self.defect)(Stage::Learn(&mut learned));
        Ok(learned)
    }

    fn weigh(
        &self,
        table: &PackedTable,
        batch: &training::Batch<'_>,
        gradient: &[f32],
    ) -> Result<Weighed> {
        let (values, status) = reference::weight_gradient(table, batch, gradient)?;
        let guards = Outcome::PASS;
        let mut weighed = Weighed {
            values,
            status,
            guards,
        };
        (self.defect)(Stage::Weigh(&mut weighed));
        Ok(weighed)
    }
}

/// The reference's values where a batch's output has them, rounded once.
fn placed_values(output: Output, data: &BatchedData, expected: &reference::Batched) -> Vec<f32> {
    let places = places(data);
    let columns: u32 = places.iter().map(|(_, dim)| dim).sum();
    let mut values = vec![0.0; (columns * data.bags) as usize];
    for ((Place { first, stride }, dim), pooled) in places.into_iter().zip(&expected.features) {
        for (at, x) in (0..).zip(&pooled.output) {
            let element = first + at / dim * stride + at % dim;
            values[element as usize] = match output {
                Output::F32 => *x as f32,
                Output::F16 => half::f16::from_f32(*x as f32).to_f32(),
            };
        }
    }
    values
}

/// Failed and all cases of a run with a defect.
fn run(filter: &str, defect: impl Fn(Stage<'_>)) -> (usize, usize) {
    let (mut failed, mut all) = (0, 0);
    verify::run(&Planted { defect }, filter, |case| {
        all += 1;
        failed += usize::from(case.outcome.failure.is_some());
    })
    .unwrap();
    (failed, all)
}

#[test]
fn without_a_defect_every_case_passes() {
    let (failed, all) = run("", |_| ());
    assert_eq!(failed, 0);
    assert_eq!(all, verify::count::<CpuEngine>(""));
    assert!(all >= 2000, "{all} cases");
    assert!(verify::shapes::shapes().len() >= 24);
}

/// Every variant's comparison catches a wrong element, wherever there is output.
#[test]
fn a_wrong_element_is_caught_in_every_variant() {
    for label in LookupSpec::all().map(|spec| spec.label()) {
        let (failed, all) = run(&format!("{label}/dim64.rows61"), |stage| {
            if let Stage::Lookup(_, lookup, _) = stage {
                let at = lookup.values.len() / 2;
                lookup.values[at] += 1.0 + lookup.values[at].abs() * 0.01;
            }
        });
        assert_eq!((failed, all), (1, 1), "{label}");
    }
}

/// Batches: a wrong element in any feature, two features' columns exchanged, a status that counts what was pruned.
#[test]
fn a_wrong_batch_is_caught() {
    let batches = |defect: fn(&BatchedData, &mut Lookup)| {
        run("batched.", move |stage| {
            if let Stage::Batched(data, lookup) = stage
                && !lookup.values.is_empty()
            {
                defect(data, lookup);
            }
        })
    };
    // Those without features or bags, in two weightings and, but for odd dims, two outputs.
    let nothing = 2 * 2 * 2;
    for defect in [
        |_: &BatchedData, lookup: &mut Lookup| lookup.values[0] += 1.0,
        |_: &BatchedData, lookup: &mut Lookup| *lookup.values.last_mut().unwrap() -= 1.0,
        |_: &BatchedData, lookup: &mut Lookup| lookup.status.bad_indices += 1,
    ] {
        let (failed, all) = batches(defect);
        assert_eq!(failed, all - nothing);
        assert_eq!(all, verify::count::<CpuEngine>("batched."));
    }
    let (failed, all) = run("batched.unweighted.f32/recommender", |stage| {
        if let Stage::Batched(data, lookup) = stage {
            let stride = lookup.values.len() / data.bags as usize;
            for row in lookup.values.chunks_exact_mut(stride) {
                // Both have 16 columns.
                let (first, others) = row.split_at_mut(16);
                first.swap_with_slice(&mut others[..16]);
            }
        }
    });
    assert_eq!((failed, all), (1, 1));
}

#[test]
fn swapped_rows_are_caught() {
    let (failed, all) = run("sum.unweighted.f32/dim33.rows61", |stage| {
        if let Stage::Lookup(_, lookup, dim) = stage {
            let (a, b) = lookup.values.split_at_mut(4 * dim);
            a[3 * dim..].swap_with_slice(&mut b[..dim]);
        }
    });
    // One for every format.
    assert_eq!((failed, all), (23, 23));
}

#[test]
fn a_nan_in_place_of_a_value_is_caught() {
    let (failed, all) = run("/dim8.rows61", |stage| match stage {
        Stage::Lookup(_, lookup, _) => *lookup.values.last_mut().unwrap() = f32::NAN,
        Stage::Dequantize(values) => values[0] = f32::NAN,
        Stage::Quantize(quantized) => quantized.words[0] ^= 1,
        _ => (),
    });
    assert_eq!(failed, all);
    // Lookups, dequantizes, asym and sym of every affine format, absmax of every symmetric one, cast of every
    // float; dim 8 is not searched.
    assert_eq!(all, 322 + 23 + 2 * 8 + 6 + 3);
}

/// The defects that others have shipped: swapped nibbles, a wrong sign, a divisor that leaves bad
/// indices out, an unwritten tail.
#[test]
fn other_peoples_defects_are_caught() {
    let swapped = |stage: Stage<'_>| {
        if let Stage::Quantize(quantized) = stage {
            for word in &mut quantized.words {
                *word = word.rotate_left(4);
            }
        }
    };
    assert_eq!(run("quantize.q4h16.asym/dim64.rows61", swapped), (1, 1));

    let sign = |stage: Stage<'_>| {
        if let Stage::Dequantize(values) = stage {
            values[1] = -values[1];
        }
    };
    assert_eq!(run("dequantize.q2h16/dim3.", sign), (1, 1));

    let divisor = |stage: Stage<'_>| {
        if let Stage::Lookup(spec, lookup, _) = stage
            && spec.pooling == Pooling::Mean
        {
            lookup.values.iter_mut().for_each(|x| *x *= 33.0 / 32.0);
        }
    };
    assert_eq!(run("q8h32.mean.unweighted.f32/dim384.", divisor), (1, 1));

    let tail = |stage: Stage<'_>| {
        if let Stage::Lookup(_, lookup, _) = stage {
            lookup.values.pop();
        }
    };
    assert_eq!(run("q4h16.max.unweighted.f16/dim31.", tail), (1, 1));
}

#[test]
fn a_wrong_status_is_caught() {
    let (failed, all) = run("q4h16.sum.unweighted.f32", |stage| {
        if let Stage::Lookup(_, lookup, _) = stage {
            lookup.status.bad_indices += 1;
        }
    });
    assert_eq!(failed, all);
    let (failed, _) = run("quantize.q8h16.asym/dim64.rows20", |stage| {
        if let Stage::Quantize(quantized) = stage {
            quantized.status.first_not_finite = 0;
        }
    });
    assert_eq!(failed, 1);
}

/// A shape of training without faults, with more than one row and weights.
const SOUND: &str = "/dim33.rows9";

/// Spoils what every update of a sound shape gave.
fn spoiled(defect: impl Fn(&PackedTable, &mut Updated)) -> (usize, usize) {
    run(SOUND, |stage| {
        if let Stage::Update(table, updated) = stage {
            defect(table, updated);
        }
    })
}

/// Every update's comparison catches one wrong code, one wrong header, one word of the state, one of the
/// status.
#[test]
fn a_wrong_word_is_caught_in_every_update() {
    let updates = UpdateSpec::all().count();
    // The table's last code, and the first header's last bit.
    let caught = |defect: fn(&PackedTable, &mut Updated)| spoiled(defect).0;
    let code = caught(|_, updated| *updated.rows.last_mut().unwrap() ^= 1);
    let header = caught(|_, updated| updated.rows[0] ^= 1);
    let status = caught(|_, updated| updated.status.first_row = 3);
    let unfinished = caught(|_, updated| updated.status.unfinished = 1);
    assert_eq!([code, header, status, unfinished], [updates; 4]);
    let state = caught(|_, updated| {
        if let Some(number) = updated.state.last_mut() {
            *number = f32::from_bits(number.to_bits() ^ 1);
        }
    });
    // SGD has none.
    assert_eq!(state, updates - updates / 5);
}

/// A row that was to stay, as the one that a batch of bad offsets names.
#[test]
fn a_touched_row_is_caught() {
    let (failed, all) = run(".offsets", |stage| {
        if let Stage::Update(table, updated) = stage {
            assert_eq!(updated.rows, table.words());
            updated.rows[table.format().row_words(table.dim()) as usize] ^= 1;
        }
    });
    assert_eq!(failed, UpdateSpec::all().count());
    // Half as many learnings of steps, and a gradient of weights for every format.
    assert_eq!(all, 120 + 60 + 12);
    let (failed, _) = spoiled(|table, updated| updated.rows.copy_from_slice(table.words()));
    assert_eq!(failed, 120);
}

#[test]
fn a_sentinel_that_an_update_overwrote_is_caught() {
    let overwrite = |_: &PackedTable, updated: &mut Updated| {
        updated.guards = Outcome::fail("word 1 before the output was overwritten".into());
    };
    assert_eq!(spoiled(overwrite).0, 120);
}

/// Both halves of learned steps: what the second forward sees, both states, both statuses, the rows.
#[test]
fn a_wrong_word_is_caught_in_every_learning_of_steps() {
    let caught = |defect: fn(&mut Learned)| {
        let (failed, _) = run(SOUND, |stage| {
            if let Stage::Learn(learned) = stage {
                defect(learned);
            }
        });
        failed
    };
    assert_eq!(caught(|learned| learned.rows[0] ^= 1), 60);
    assert_eq!(caught(|learned| learned.staged[1] ^= 1), 60);
    assert_eq!(caught(|learned| learned.ranks[0] ^= 1), 60);
    assert_eq!(caught(|learned| learned.staging.bad_rows += 1), 60);
    assert_eq!(caught(|learned| learned.status = None), 60);
    let status = caught(|learned| learned.status.as_mut().unwrap().bad_indices += 1);
    assert_eq!(status, 60);
    fn flip(state: &mut [f32]) {
        state.iter_mut().for_each(|number| *number = -*number);
    }
    // Those without a state cannot be wrong in it.
    assert_eq!(caught(|learned| flip(&mut learned.state)), 48);
    assert_eq!(caught(|learned| flip(&mut learned.step_state)), 48);
}

#[test]
fn a_wrong_gradient_of_weights_is_caught() {
    let caught = |defect: fn(&mut Weighed)| {
        let (failed, _) = run(SOUND, |stage| {
            if let Stage::Weigh(weighed) = stage {
                defect(weighed);
            }
        });
        failed
    };
    let formats = training_formats().count();
    let last_bit = |weighed: &mut Weighed| weighed.values[0] = weighed.values[0].next_up();
    assert_eq!(caught(last_bit), formats);
    assert_eq!(caught(|weighed| weighed.values[3] = f32::NAN), formats);
    assert_eq!(caught(|weighed| weighed.status.bad_bags = 1), formats);
}

/// The faults do what they are there for: some are skipped, some refuse a batch, and nothing else does.
#[test]
fn the_faults_of_training_are_found() {
    for shape in training_shapes() {
        let filter = format!("update.s8h32.adagrad.given/{}", shape.name());
        let (failed, all) = run(&filter, |stage| {
            let Stage::Update(table, updated) = stage else {
                return;
            };
            let status = updated.status;
            let refused = status.refuses(shape.bad_input);
            let same = updated.rows == table.words();
            let name = shape.name();
            if name.ends_with(".skip") && shape.shape.rows > 0 {
                assert!(
                    status.bad_indices > 0 && status.bad_rows > 0 && !same,
                    "{name}"
                );
            } else if name.ends_with(".skip") {
                assert!(status.bad_indices > 0, "{name}");
            } else if name.ends_with(".refuse") || name.ends_with(".offsets") {
                assert!(refused && same, "{name}: {status:?}");
            } else {
                assert!(
                    !refused && status == training::UpdateStatus::CLEAR,
                    "{name}"
                );
                assert_eq!(same, name.contains(".indices0."), "{name}");
            }
        });
        assert_eq!((failed, all), (0, 1), "{filter}");
    }
}

#[test]
fn unwritten_and_overwritten_words_are_caught() {
    let sound = |output: &[u32]| {
        let mut memory = vec![Fill::Sentinel.word(); 4];
        memory.extend(output);
        memory.extend([Fill::Sentinel.word(); 4]);
        memory
    };
    let mut memory = sound(&[1, 2, 3]);
    assert_eq!(compare::guards(&memory, 4..7), Outcome::PASS);
    memory[3] = 0;
    assert!(
        compare::guards(&memory, 4..7)
            .failure
            .unwrap()
            .contains("before")
    );
    let mut memory = sound(&[1, 2, 3]);
    memory[7] = 0;
    assert!(
        compare::guards(&memory, 4..7)
            .failure
            .unwrap()
            .contains("behind")
    );
    let memory = sound(&[1, 2, Fill::Poison.word()]);
    assert!(
        compare::guards(&memory, 4..7)
            .failure
            .unwrap()
            .contains("not written")
    );
}

/// One pooled sum and its bound.
fn pooled() -> Pooled {
    let values: Vec<f32> = (0..64).map(|i| (i as f32 - 31.0) / 7.0).collect();
    let format = Format::affine(Bits::B8);
    let table = PackedTable::quantize(&values, 4, format, Method::Asym).unwrap();
    let args = LookupArgs {
        pooling: Pooling::Sum,
        indices: &[0, 3, 5, 15],
        offsets: Some(&[0, 4]),
        weights: None,
    };
    reference::lookup(&table, args).unwrap()
}

#[test]
fn the_bound_is_elementwise_and_tight() {
    let expected = pooled();
    let exact: Vec<f32> = expected.output.iter().map(|x| *x as f32).collect();
    let compared = |got: &[f32]| compare::lookup(&expected, Pooling::Sum, Output::F32, got);
    assert_eq!(compared(&exact).failure, None);
    for element in 0..exact.len() {
        let bound = expected.bound(element, Output::F32);
        let mut got = exact.clone();
        got[element] += (1.5 * bound) as f32;
        let outcome = compared(&got);
        assert!(
            outcome.failure.is_some() && outcome.largest < 3.0,
            "{outcome:?}"
        );
        got[element] = exact[element] + (0.5 * bound) as f32;
        assert_eq!(compared(&got).failure, None);
    }
}

#[test]
fn infinity_is_accepted_only_at_the_edge_of_the_type() {
    let mut expected = pooled();
    expected.output[0] = 65519.9;
    let mut got: Vec<f32> = expected
        .output
        .iter()
        .map(|x| half::f16::from_f64(*x).to_f32())
        .collect();
    let compared = |got: &[f32]| compare::lookup(&expected, Pooling::Sum, Output::F16, got).failure;
    got[0] = f32::INFINITY;
    assert_eq!(compared(&got), None);
    got[0] = f32::NEG_INFINITY;
    assert!(compared(&got).is_some());
    got[0] = 65504.0;
    assert_eq!(compared(&got), None);
    got[1] = f32::INFINITY;
    assert!(compared(&got).is_some());
}

/// Where infinity goes in, nothing finite may come out.
#[test]
fn a_finite_number_in_place_of_infinity_is_caught() {
    let mut expected = pooled();
    let mut got: Vec<f32> = expected.output.iter().map(|x| *x as f32).collect();
    expected.output[2] = f64::INFINITY;
    expected.magnitude[2] = f64::INFINITY;
    let compared = |got: &[f32]| compare::lookup(&expected, Pooling::Sum, Output::F32, got).failure;
    for (x, passes) in [
        (5.0, false),
        (f32::MAX, false),
        (f32::NEG_INFINITY, false),
        (f32::NAN, false),
    ]
    .into_iter()
    .chain([(f32::INFINITY, true)])
    {
        got[2] = x;
        assert_eq!(compared(&got).is_none(), passes, "{x}");
    }
}

#[test]
fn bits_differ_by_the_last_one_and_by_the_sign_of_zero() {
    assert_eq!(
        compare::bits(&[1.0, f32::NAN], &[1.0, -f32::NAN]),
        Outcome::PASS
    );
    assert!(compare::bits(&[1.0], &[1.0f32.next_up()]).failure.is_some());
    assert!(compare::bits(&[0.0], &[-0.0]).failure.is_some());
    assert!(compare::bits(&[f32::NAN], &[0.0]).failure.is_some());
    assert!(compare::words("rows", &[1], &[1, 2]).failure.is_some());
}

#[test]
fn the_generator_of_test_data_covers_its_range() {
    let mut random = Random::new(1);
    let mut seen = [false; 7];
    (0..200).for_each(|_| seen[random.below(7) as usize] = true);
    assert_eq!(seen, [true; 7]);
    assert_eq!(random.below(0), 0);
    assert!((0..1000).all(|_| random.signed().abs() <= 1.0));
}

/// Every update, every learning of steps and every gradient of weights has a case per shape.
#[test]
fn every_kernel_that_trains_is_in_the_table() {
    let shapes = training_shapes().len();
    for spec in UpdateSpec::all() {
        let count = verify::count::<CpuEngine>(&format!("{}/", spec.label()));
        assert_eq!(count, shapes, "{}", spec.label());
    }
    assert_eq!(verify::count::<CpuEngine>("update."), 120 * shapes);
    assert_eq!(verify::count::<CpuEngine>("learn."), 6 * 5 * 2 * shapes);
    assert_eq!(verify::count::<CpuEngine>("weigh."), 12 * shapes);
    let names: std::collections::BTreeSet<_> =
        training_shapes().iter().map(|shape| shape.name()).collect();
    assert_eq!(names.len(), shapes);
}

/// A weighted max has no case; everything else has one per shape.
#[test]
fn every_supported_lookup_is_in_the_table() {
    for spec in LookupSpec::all() {
        assert!(spec.pooling != Pooling::Max || spec.weighting == Weighting::Unweighted);
        let count = verify::count::<CpuEngine>(&format!("{}/", spec.label()));
        assert_eq!(count, verify::shapes::shapes().len(), "{}", spec.label());
    }
    assert_eq!(LookupStatus::CLEAR.first_bag, u32::MAX);
}
