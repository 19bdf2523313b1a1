//! Ring 3, training: every error of `update`, `learn` and `weigh`, of their buffers and their binds, on wgpu's
//! noop device with default limits; no validation error of wgpu's own escapes. No GPU.

mod common;

use common::Noop;
use qembed::gpu::{
    BatchArgs, BatchSpec, Kernels, KernelsOptions, LearnArgs, LearnBuffers, LearnSpec, Shard,
    SortBuffers, Table, TableBuffers, TableDesc, UpdateArgs, UpdateBuffers, WeighArgs,
};
use qembed::training::{
    BadInput, Granularity, LearnedSteps, Optimizer, Parameters, UpdateSpec, training_formats,
};
use qembed::wgpu::{self, BufferBinding, BufferUsages};
use qembed::{Bits, Error, Format, Params, Pooling, Result, Weighting};

const S4: Format = Format::Symmetric {
    bits: Bits::B4,
    params: Params::F32,
};
/// Rows and columns of the table.
const SHAPE: (u32, u32) = (10, 64);

/// Everything that an update can have.
const GIVEN: UpdateSpec = UpdateSpec {
    format: S4,
    optimizer: Optimizer::ADAM,
    parameters: Parameters::Given,
};
const FROZEN: UpdateSpec = UpdateSpec {
    parameters: Parameters::Frozen,
    ..GIVEN
};
const BAGS: BatchSpec = BatchSpec {
    pooling: Pooling::Sum,
    weighting: Weighting::Weighted,
};
const GATHER: BatchSpec = BatchSpec {
    pooling: Pooling::None,
    weighting: Weighting::Unweighted,
};

const LEARN: LearnSpec = LearnSpec {
    update: FROZEN,
    learned: LearnedSteps {
        optimizer: Optimizer::ADAM,
        gradient_scale: qembed::training::GradientScale::BatchDim,
        weight_decay: 0.0,
        boundary: qembed::training::Boundary::Strict,
        granularity: Granularity::Row,
    },
};

impl Noop {
    fn table(&self, format: Format) -> Table {
        let (rows, dim) = SHAPE;
        let desc = TableDesc { format, rows, dim };
        self.kernels.allocate(desc).unwrap()
    }

    /// Scratch for 12 positions.
    fn scratch(&self) -> UpdateBuffers {
        self.kernels.update_buffers(12, SHAPE.1).unwrap()
    }

    fn learn_scratch(&self) -> LearnBuffers {
        self.kernels.learn_buffers(12, S4, SHAPE.1).unwrap()
    }

    /// A buffer of every usage that an argument may need.
    fn any(&self, size: u64) -> wgpu::Buffer {
        self.buffer(size, BufferUsages::STORAGE | BufferUsages::UNIFORM)
    }
}

/// Arguments of a batch of 4 bags and 12 positions, in the least bytes that they need.
struct Buffers {
    all: Vec<(&'static str, wgpu::Buffer)>,
}

impl Buffers {
    fn new(noop: &Noop) -> Self {
        let storage = [
            ("indices", 48),
            ("offsets", 20),
            ("weights", 48),
            ("gradient", 4 * 4 * 64),
            ("state", 4 * 10 * 128),
            ("steps", 40),
            ("status", 32),
            ("weight_gradient", 48),
        ];
        let mut all: Vec<_> = storage
            .into_iter()
            .map(|(name, bytes)| (name, noop.storage(bytes)))
            .collect();
        all.push(("hyper", noop.buffer(64, BufferUsages::UNIFORM)));
        Self { all }
    }

    fn args(&self) -> Args<'_> {
        let ranges = self.all.iter();
        let ranges = ranges.map(|(name, buffer)| (*name, Some(buffer.as_entire_buffer_binding())));
        Args {
            bags: 4,
            positions: 12,
            ranges: ranges.collect(),
        }
    }
}

/// Arguments by name, so that a test can change any.
#[derive(Clone)]
struct Args<'a> {
    bags: u32,
    positions: u32,
    ranges: Vec<(&'static str, Option<BufferBinding<'a>>)>,
}

impl<'a> Args<'a> {
    fn with(mut self, name: &str, binding: Option<BufferBinding<'a>>) -> Self {
        for (known, range) in &mut self.ranges {
            if *known == name {
                range.clone_from(&binding);
            }
        }
        self
    }

    fn without(self, names: &[&str]) -> Self {
        names.iter().fold(self, |args, name| args.with(name, None))
    }

    fn get(&self, name: &str) -> Option<BufferBinding<'a>> {
        let found = self.ranges.iter().find(|(known, _)| *known == name);
        found.unwrap().1.clone()
    }

    fn batch(&self) -> BatchArgs<'a> {
        BatchArgs {
            bags: self.bags,
            positions: self.positions,
            indices: self.get("indices"),
            offsets: self.get("offsets"),
            weights: self.get("weights"),
        }
    }

    fn update(&self, bad_input: BadInput) -> UpdateArgs<'a> {
        UpdateArgs {
            batch: self.batch(),
            gradient: self.get("gradient"),
            state: self.get("state"),
            steps: self.get("steps"),
            hyper: self.get("hyper").unwrap(),
            status: self.get("status").unwrap(),
            bad_input,
        }
    }

    fn learn(&self, bad_input: BadInput) -> LearnArgs<'a> {
        LearnArgs {
            batch: self.batch(),
            gradient: self.get("gradient"),
            state: self.get("state"),
            hyper: self.get("hyper").unwrap(),
            status: self.get("status").unwrap(),
            bad_input,
        }
    }

    fn weigh(&self) -> WeighArgs<'a> {
        WeighArgs {
            batch: BatchArgs {
                weights: None,
                ..self.batch()
            },
            gradient: self.get("gradient"),
            weight_gradient: self.get("weight_gradient"),
            status: self.get("status").unwrap(),
        }
    }
}

fn range(buffer: &wgpu::Buffer, offset: u64, size: u64) -> Option<BufferBinding<'_>> {
    Some(BufferBinding {
        buffer,
        offset,
        size: std::num::NonZeroU64::new(size),
    })
}

/// Which bind is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kernel {
    Update,
    Stage,
    Steps,
    Weigh,
}

const KERNELS: [Kernel; 4] = [Kernel::Update, Kernel::Stage, Kernel::Steps, Kernel::Weigh];

impl Kernel {
    /// What it takes of the arguments.
    fn takes(self) -> &'static [&'static str] {
        match self {
            Self::Update => &[
                "indices", "offsets", "weights", "gradient", "state", "steps", "hyper", "status",
            ],
            Self::Stage | Self::Steps => &[
                "indices", "offsets", "weights", "gradient", "state", "hyper", "status",
            ],
            Self::Weigh => &[
                "indices",
                "offsets",
                "gradient",
                "weight_gradient",
                "status",
            ],
        }
    }

    /// Binds and records it, twice.
    fn bind(self, noop: &Noop, table: &Table, args: &Args<'_>) -> Result<()> {
        self.bind_to(noop, table, &noop.learn_scratch(), args)
    }

    fn bind_to(
        self,
        noop: &Noop,
        table: &Table,
        buffers: &LearnBuffers,
        args: &Args<'_>,
    ) -> Result<()> {
        let kernels = &noop.kernels;
        let bad_input = BadInput::Refuse;
        match self {
            Self::Update => {
                let kernel = kernels.update(GIVEN, BAGS)?;
                let bound = kernel.bind(table, buffers.update(), args.update(bad_input))?;
                noop.submit(|pass| (0..2).for_each(|_| bound.record(pass)));
            }
            Self::Stage => {
                let kernel = kernels.learn(LEARN, BAGS)?;
                let bound = kernel.bind_stage(table, buffers, args.learn(bad_input))?;
                noop.submit(|pass| (0..2).for_each(|_| bound.record(pass)));
            }
            Self::Steps => {
                let kernel = kernels.learn(LEARN, BAGS)?;
                let bound = kernel.bind_steps(table, buffers, args.learn(bad_input))?;
                noop.submit(|pass| (0..2).for_each(|_| bound.record(pass)));
            }
            Self::Weigh => {
                let kernel = kernels.weigh(S4, BAGS.pooling)?;
                let bound = kernel.bind(table, buffers.update(), args.weigh())?;
                noop.submit(|pass| (0..2).for_each(|_| bound.record(pass)));
            }
        }
        Ok(())
    }
}

/// The error of each kernel that takes an argument, with the range that `change` gives it.
fn refused<'a>(
    noop: &Noop,
    args: &Args<'a>,
    name: &str,
    change: impl Fn() -> Option<BufferBinding<'a>>,
) -> Vec<Error> {
    let table = noop.table(S4);
    let takes = |kernel: &Kernel| kernel.takes().contains(&name);
    KERNELS
        .into_iter()
        .filter(takes)
        .map(|kernel| {
            let args = args.clone().with(name, change());
            let bound = kernel.bind(noop, &table, &args);
            bound.expect_err(&format!("{kernel:?} {name}"))
        })
        .collect()
}

#[test]
fn sound_binds_are_accepted_and_recorded_twice() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    for kernel in KERNELS {
        kernel
            .bind(&noop, &noop.table(S4), &buffers.args())
            .unwrap();
    }
    let kernel = noop.kernels.update(GIVEN, BAGS).unwrap();
    assert_eq!(kernel.spec(), GIVEN);
    assert_eq!(noop.kernels.learn(LEARN, BAGS).unwrap().spec(), LEARN);
}

const BATCHES: [BatchSpec; 3] = [
    GATHER,
    BAGS,
    BatchSpec {
        pooling: Pooling::Mean,
        weighting: Weighting::Unweighted,
    },
];

impl<'a> Args<'a> {
    /// Without what a batch of the kind does not take.
    fn of(self, spec: BatchSpec) -> Self {
        let args = match spec.weighting {
            Weighting::Weighted => self,
            Weighting::Unweighted => self.without(&["weights"]),
        };
        if spec.pooling != Pooling::None {
            return args;
        }
        let mut args = args.without(&["offsets"]);
        args.bags = args.positions;
        args
    }
}

#[test]
fn every_variant_binds_and_records() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let gradient = noop.storage(4 * 12 * 64);
    let sound = || buffers.args().with("gradient", range(&gradient, 0, 0));
    let scratch = noop.scratch();
    for (number, spec) in UpdateSpec::all().enumerate() {
        let batch = BATCHES[number % 3];
        let table = noop.table(spec.format);
        let mut args = sound().of(batch);
        if spec.optimizer.state_len(1) == 0 {
            args = args.without(&["state"]);
        }
        if spec.parameters != Parameters::Given {
            args = args.without(&["steps"]);
        }
        let kernel = noop.kernels.update(spec, batch).unwrap();
        for bad_input in [BadInput::Refuse, BadInput::Skip] {
            let bound = kernel.bind(&table, &scratch, args.update(bad_input));
            let bound = bound.unwrap_or_else(|error| panic!("{}: {error}", spec.label()));
            noop.submit(|pass| bound.record(pass));
        }
    }
    for format in training_formats() {
        for batch in BATCHES {
            let kernel = noop.kernels.weigh(format, batch.pooling).unwrap();
            let args = sound().of(batch).weigh();
            let bound = kernel.bind(&noop.table(format), &scratch, args).unwrap();
            noop.submit(|pass| bound.record(pass));
        }
    }
}

#[test]
fn every_learning_of_steps_binds_and_records() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let symmetric = training_formats().filter(|format| matches!(format, Format::Symmetric { .. }));
    for format in symmetric {
        let table = noop.table(format);
        let scratch = noop.kernels.learn_buffers(12, format, 64).unwrap();
        for (optimizer, granularity) in Optimizer::ALL
            .into_iter()
            .flat_map(|optimizer| [Granularity::Row, Granularity::Table].map(|g| (optimizer, g)))
        {
            let learned = LearnedSteps {
                optimizer,
                granularity,
                ..LEARN.learned
            };
            let update = UpdateSpec {
                format,
                optimizer,
                ..FROZEN
            };
            let kernel = noop
                .kernels
                .learn(LearnSpec { update, learned }, BAGS)
                .unwrap();
            let mut args = buffers.args();
            if optimizer.state_len(1) == 0 {
                args = args.without(&["state"]);
            }
            for bad_input in [BadInput::Refuse, BadInput::Skip] {
                let args = args.learn(bad_input);
                let stage = kernel.bind_stage(&table, &scratch, args.clone()).unwrap();
                let steps = kernel.bind_steps(&table, &scratch, args).unwrap();
                noop.submit(|pass| {
                    stage.record(pass);
                    steps.record(pass);
                });
            }
        }
    }
}

#[test]
fn what_is_not_trained_is_refused() {
    let noop = Noop::new();
    let unsupported = |error: Error, what: &str| {
        let text = error.to_string();
        assert!(
            matches!(error, Error::Unsupported { .. }) && text.starts_with(what),
            "{text}"
        );
    };
    let update = |format, parameters, pooling| {
        let spec = UpdateSpec {
            format,
            parameters,
            ..GIVEN
        };
        let batch = BatchSpec { pooling, ..BAGS };
        noop.kernels.update(spec, batch).unwrap_err()
    };
    let q4 = Format::affine(Bits::B4);
    let (frozen, sum) = (Parameters::Frozen, Pooling::Sum);
    for format in Format::all().filter(|format| !training_formats().any(|f| f == *format)) {
        unsupported(
            update(format, frozen, sum),
            &format!("training {format} rows"),
        );
        let error = noop.kernels.weigh(format, sum).unwrap_err();
        unsupported(error, &format!("training {format} rows"));
    }
    unsupported(
        update(S4, Parameters::Refreshed, sum),
        "refreshing the step",
    );
    unsupported(
        update(q4, Parameters::Given, sum),
        "giving steps to affine rows",
    );
    unsupported(
        update(S4, frozen, Pooling::Max),
        "an update through max pooling",
    );
    let error = noop.kernels.weigh(S4, Pooling::Max).unwrap_err();
    unsupported(error, "an update through max pooling");

    let learn = |update, pooling| {
        let batch = BatchSpec { pooling, ..BAGS };
        noop.kernels
            .learn(LearnSpec { update, ..LEARN }, batch)
            .unwrap_err()
    };
    let affine = UpdateSpec {
        format: q4,
        ..FROZEN
    };
    unsupported(learn(affine, sum), "learning the steps of q4h16 rows");
    unsupported(learn(GIVEN, sum), "learning steps that are given");
    unsupported(learn(FROZEN, Pooling::Max), "an update through max pooling");
}

#[test]
fn scratch_that_cannot_be() {
    let noop = Noop::new();
    let kernels = &noop.kernels;
    for dim in [0, 8193] {
        let error = kernels.update_buffers(1, dim).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error}");
        assert!(kernels.learn_buffers(1, S4, dim).is_err());
    }
    let error = kernels
        .update_buffers(SortBuffers::MOST + 1, 1)
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Shape {
                argument: "capacity",
                ..
            }
        ),
        "{error}"
    );
    // wgpu's default limits have 128 MiB to a binding.
    assert!(kernels.update_buffers(1 << 12, 8192).is_ok());
    let error = kernels.update_buffers((1 << 12) + 1, 8192).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                argument: "positions",
                ..
            }
        ),
        "{error}"
    );
    let error = kernels.learn_buffers((1 << 12) + 1, S4, 8192).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                argument: "positions",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn scratch_says_how_large_it_is() {
    let noop = Noop::new();
    let update = noop.scratch();
    assert_eq!((update.capacity(), update.sorted().capacity()), (12, 12));
    // Keys, occurrences, sums, and the word that stands for a state.
    let own = 12 * 12 + 12 * 64 * 4 + 4;
    assert_eq!(update.bytes(), update.sorted().bytes() + own);
    let learn = noop.learn_scratch();
    let row = u64::from(S4.row_bytes(64));
    assert_eq!(learn.bytes(), update.bytes() + 12 * (row + 4 * 64 + 4) + 8);
    assert_eq!(learn.ranks().size(), 48);
    assert_eq!(learn.staged().desc().rows, 12);
}

#[test]
fn the_workgroup_of_training_is_checked() {
    let noop = Noop::new();
    for lanes in [0, 63, 65, 512] {
        let options = KernelsOptions {
            training_workgroup: Some(lanes),
            ..KernelsOptions::default()
        };
        let error = Kernels::with_options(&noop.device, options).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("training_workgroup: needed 64, 128 or 256, got {lanes}")
        );
    }
    for lanes in [64, 128, 256] {
        let options = KernelsOptions {
            training_workgroup: Some(lanes),
            ..KernelsOptions::default()
        };
        let mut noop = Noop::new();
        noop.kernels = Kernels::with_options(&noop.device, options).unwrap();
        let buffers = Buffers::new(&noop);
        for kernel in KERNELS {
            kernel
                .bind(&noop, &noop.table(S4), &buffers.args())
                .unwrap();
        }
    }
}

#[test]
fn a_range_that_is_missing() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let names = [
        "indices",
        "offsets",
        "weights",
        "gradient",
        "state",
        "steps",
        "weight_gradient",
    ];
    for name in names {
        for error in refused(&noop, &buffers.args(), name, || None) {
            assert_eq!(
                error.to_string(),
                format!("{name}: needed a range, got None")
            );
        }
    }
}

#[test]
fn a_range_that_is_not_wanted() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let table = noop.table(S4);
    let scratch = noop.learn_scratch();
    let sgd = UpdateSpec {
        optimizer: Optimizer::Sgd,
        ..FROZEN
    };
    let args = buffers.args().without(&["steps"]);
    let state = "state: needed None: sgd has no state, got a range";
    let kernel = noop.kernels.update(sgd, BAGS).unwrap();
    let error = kernel.bind(&table, scratch.update(), args.update(BadInput::Skip));
    assert_eq!(error.unwrap_err().to_string(), state);
    let learned = LearnedSteps {
        optimizer: Optimizer::Sgd,
        ..LEARN.learned
    };
    let spec = LearnSpec {
        update: sgd,
        learned,
    };
    let kernel = noop.kernels.learn(spec, BAGS).unwrap();
    let error = kernel.bind_stage(&table, &scratch, args.learn(BadInput::Skip));
    assert_eq!(error.unwrap_err().to_string(), state);
    let error = kernel.bind_steps(&table, &scratch, args.learn(BadInput::Skip));
    assert_eq!(error.unwrap_err().to_string(), state);

    let kernel = noop.kernels.update(FROZEN, BAGS).unwrap();
    let error = kernel.bind(
        &table,
        scratch.update(),
        buffers.args().update(BadInput::Skip),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "steps: needed None for frozen parameters, got a range"
    );

    let mut args = buffers.args();
    args.bags = 12;
    let kernel = noop.kernels.learn(LEARN, GATHER).unwrap();
    let bind = |args: &Args<'_>| {
        let stage = kernel.bind_stage(&table, &scratch, args.learn(BadInput::Skip));
        let steps = kernel.bind_steps(&table, &scratch, args.learn(BadInput::Skip));
        let (stage, steps) = (
            stage.unwrap_err().to_string(),
            steps.unwrap_err().to_string(),
        );
        assert_eq!(stage, steps);
        stage
    };
    assert_eq!(
        bind(&args),
        "offsets: needed None for a gather, got a range"
    );
    let args = args.without(&["offsets"]);
    assert_eq!(
        bind(&args),
        "weights: needed None where unweighted, got a range"
    );
    // The weights do not enter their own gradient.
    let kernel = noop.kernels.weigh(S4, Pooling::Sum).unwrap();
    let sound = buffers.args();
    let args = WeighArgs {
        batch: sound.batch(),
        ..sound.weigh()
    };
    let error = kernel.bind(&table, scratch.update(), args).unwrap_err();
    assert_eq!(
        error.to_string(),
        "weights: needed None where unweighted, got a range"
    );
}

#[test]
fn a_range_that_is_too_small() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    for (name, buffer) in &buffers.all {
        // Steps have one number of Adam's two moments, not 64.
        let short = |bytes: u64| move || range(buffer, 0, bytes - 4);
        let errors = match *name {
            "state" => {
                let table = noop.table(S4);
                let args = buffers
                    .args()
                    .with(name, range(buffer, 0, 4 * 10 * 128 - 4));
                let steps = buffers.args().with(name, range(buffer, 0, 4 * 10 * 2 - 4));
                vec![
                    Kernel::Update.bind(&noop, &table, &args).unwrap_err(),
                    Kernel::Stage.bind(&noop, &table, &args).unwrap_err(),
                    Kernel::Steps.bind(&noop, &table, &steps).unwrap_err(),
                ]
            }
            _ => refused(&noop, &buffers.args(), name, short(buffer.size())),
        };
        assert!(!errors.is_empty());
        for error in errors {
            let Error::BufferTooSmall {
                argument,
                needed_bytes,
                got_bytes,
            } = error
            else {
                panic!("{name}: {error}");
            };
            assert_eq!((argument, got_bytes), (*name, needed_bytes - 4));
        }
        // A range that reaches past its buffer.
        let past = || range(buffer, 0, buffer.size() + 4);
        for error in refused(&noop, &buffers.args(), name, past) {
            assert!(
                matches!(error, Error::BufferTooSmall { .. }),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn a_range_that_is_misaligned_and_one_without_its_usage() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let large = noop.any(1 << 16);
    let neither = noop.buffer(1 << 16, BufferUsages::COPY_DST);
    for (name, _) in &buffers.all {
        for error in refused(&noop, &buffers.args(), name, || range(&large, 128, 0)) {
            let Error::Misaligned {
                argument,
                offset_bytes: 128,
                align_bytes: 256,
            } = error
            else {
                panic!("{name}: {error}");
            };
            assert_eq!(argument, *name);
        }
        let wanted = if *name == "hyper" {
            "UNIFORM"
        } else {
            "STORAGE"
        };
        for error in refused(&noop, &buffers.args(), name, || range(&neither, 0, 0)) {
            let Error::BufferUsage { argument, missing } = error else {
                panic!("{name}: {error}");
            };
            assert_eq!((argument, missing), (*name, wanted));
        }
        for kernel in KERNELS {
            let args = buffers.args().with(name, range(&large, 256, 0));
            kernel.bind(&noop, &noop.table(S4), &args).unwrap();
        }
    }
}

#[test]
fn tables_and_scratch_of_others() {
    let (noop, other) = (Noop::new(), Noop::new());
    let buffers = Buffers::new(&noop);
    let args = buffers.args();
    for kernel in KERNELS {
        let bind = |table: &Table, scratch: &LearnBuffers| {
            let bound = kernel.bind_to(&noop, table, scratch, &args);
            bound.unwrap_err().to_string()
        };
        let scratch = noop.learn_scratch();
        let text = bind(&other.table(S4), &scratch);
        assert!(
            text.starts_with("table: needed one made with these kernels"),
            "{text}"
        );
        let text = bind(&noop.table(Format::affine(Bits::B4)), &scratch);
        assert_eq!(
            text,
            "table: needed s4h32 rows (the kernel's spec), got q4h16 rows"
        );
        let text = bind(&noop.table(S4), &other.learn_scratch());
        assert!(
            text.starts_with("buffers: needed buffers made with these kernels"),
            "{text}"
        );
        let wider = noop.kernels.learn_buffers(12, S4, 65).unwrap();
        let text = bind(&noop.table(S4), &wider);
        assert_eq!(
            text,
            "buffers: needed buffers for rows of 64 columns, got some for 65"
        );
        let fewer = noop.kernels.learn_buffers(11, S4, 64).unwrap();
        let text = bind(&noop.table(S4), &fewer);
        assert_eq!(
            text,
            "positions: needed at most 11 (the buffers' capacity), got 12"
        );
    }
    // The staged rows are rows of a format.
    let s8 = Format::Symmetric {
        bits: Bits::B8,
        params: Params::F32,
    };
    let others = noop.kernels.learn_buffers(12, s8, 64).unwrap();
    for kernel in [Kernel::Stage, Kernel::Steps] {
        let error = kernel
            .bind_to(&noop, &noop.table(S4), &others, &args)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "buffers: needed buffers for s4h32 rows, got some for s8h32 rows"
        );
    }
}

#[test]
fn a_gather_has_a_bag_for_every_position() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let args = buffers.args().without(&["offsets", "weights", "steps"]);
    let kernel = noop.kernels.update(FROZEN, GATHER).unwrap();
    let error = kernel.bind(
        &noop.table(S4),
        &noop.scratch(),
        args.update(BadInput::Skip),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "bags: needed 12 (a bag for every position of a gather), got 4"
    );
}

/// What one dispatch writes cannot lie in a buffer that it reads, nor overlap what it writes.
#[test]
fn ranges_that_one_dispatch_cannot_have_together() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let (table, shared) = (noop.table(S4), noop.any(1 << 16));
    let bind = |kernel: Kernel, names: [&str; 2], offset| {
        let args = buffers.args().with(names[0], range(&shared, 0, 0));
        let args = args.with(names[1], range(&shared, offset, 0));
        kernel.bind(&noop, &table, &args)
    };
    let aliased = |kernel, names: [&str; 2], offset| {
        let error = bind(kernel, names, offset).unwrap_err();
        let Error::Aliased {
            argument, other, ..
        } = error
        else {
            panic!("{kernel:?} {names:?}: {error}");
        };
        assert!(
            names.contains(&argument) && names.contains(&other),
            "{argument} {other}"
        );
    };
    let (first, apart) = (0, 8192);
    for kernel in [Kernel::Update, Kernel::Stage, Kernel::Steps] {
        for read in ["hyper", "indices", "offsets", "weights"] {
            aliased(kernel, ["status", read], apart);
        }
        aliased(kernel, ["state", "hyper"], apart);
        aliased(kernel, ["state", "status"], first);
        bind(kernel, ["state", "status"], apart).unwrap();
    }
    aliased(Kernel::Update, ["state", "steps"], apart);
    aliased(Kernel::Update, ["status", "steps"], apart);
    for read in ["indices", "offsets", "gradient"] {
        aliased(Kernel::Weigh, ["status", read], apart);
    }
    aliased(Kernel::Weigh, ["weight_gradient", "gradient"], apart);
    aliased(Kernel::Weigh, ["weight_gradient", "status"], first);
    bind(Kernel::Weigh, ["weight_gradient", "status"], apart).unwrap();
}

/// Ranges of different dispatches may share a buffer, but no byte that any of them writes.
#[test]
fn ranges_that_the_dispatches_cannot_have_together() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let (table, shared) = (noop.table(S4), noop.any(1 << 16));
    let args = |names: [&str; 2], offset| {
        let args = buffers.args().with(names[0], range(&shared, 0, 0));
        args.with(names[1], range(&shared, offset, 0))
    };
    let check = |kernel: Kernel, names: [&str; 2]| {
        let error = kernel.bind(&noop, &table, &args(names, 0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{} shares bytes with {}: give each a range of its own",
                names[0], names[1]
            )
        );
        kernel.bind(&noop, &table, &args(names, 8192)).unwrap();
    };
    for kernel in [Kernel::Update, Kernel::Stage, Kernel::Steps] {
        for read in ["indices", "offsets", "weights", "gradient"] {
            check(kernel, ["state", read]);
        }
        check(kernel, ["status", "gradient"]);
    }
    check(Kernel::Weigh, ["weight_gradient", "indices"]);
    check(Kernel::Weigh, ["weight_gradient", "offsets"]);
}

#[test]
fn the_tables_own_rows_are_not_for_anything_else() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let (rows, dim) = SHAPE;
    let desc = TableDesc {
        format: S4,
        rows,
        dim,
    };
    let shared = noop.any(1 << 16);
    let memory = TableBuffers {
        rows: shared.as_entire_buffer_binding(),
        blocks: None,
    };
    let table = Table::from_buffers(&noop.kernels, desc, memory).unwrap();
    let bind = |kernel: Kernel, name, offset| {
        let args = buffers.args().with(name, range(&shared, offset, 0));
        kernel.bind(&noop, &table, &args)
    };
    let aliased = |kernel: Kernel, name, offset| {
        let error = bind(kernel, name, offset).unwrap_err();
        assert!(
            matches!(error, Error::Aliased { .. }),
            "{kernel:?} {name}: {error}"
        );
    };
    for kernel in [Kernel::Update, Kernel::Steps] {
        for name in [
            "indices", "offsets", "weights", "gradient", "state", "status",
        ] {
            aliased(kernel, name, 0);
            bind(kernel, name, 8192).unwrap();
        }
        aliased(kernel, "hyper", 8192);
    }
    aliased(Kernel::Update, "steps", 8192);
    // The first half reads the table, and so does the gradient of weights.
    for name in ["indices", "offsets", "weights", "gradient", "hyper"] {
        bind(Kernel::Stage, name, 0).unwrap();
    }
    for name in ["state", "status"] {
        aliased(Kernel::Stage, name, 8192);
    }
    bind(Kernel::Weigh, "gradient", 0).unwrap();
    aliased(Kernel::Weigh, "weight_gradient", 8192);
    aliased(Kernel::Weigh, "status", 8192);
}

/// What the kernels overwrite on their way is for the caller to read, not to pass.
#[test]
fn ranges_in_scratch() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let scratch = noop.kernels.learn_buffers(2000, S4, 64).unwrap();
    let sorted = scratch.update().sorted();
    let staged = scratch.staged().shards().next().unwrap().words;
    let table = noop.table(S4);
    let outputs = [
        ("positions", sorted.positions()),
        ("segments", sorted.segments()),
        ("chunks", sorted.chunks()),
        ("ranks", sorted.ranks()),
        ("totals", sorted.totals()),
        ("staged", staged.buffer),
    ];
    for kernel in KERNELS {
        for &name in kernel.takes() {
            for (own, buffer) in outputs {
                // Nobody stages rows but those who learn.
                if own == "staged" && !matches!(kernel, Kernel::Stage | Kernel::Steps) {
                    continue;
                }
                let args = buffers.args().with(name, range(buffer, 0, 0));
                let error = kernel.bind_to(&noop, &table, &scratch, &args).unwrap_err();
                assert_eq!(
                    error.to_string(),
                    format!(
                        "{own} shares a buffer with {name}: it is scratch, which the kernels overwrite; use another one"
                    ),
                    "{kernel:?}"
                );
            }
        }
    }
    // A table in scratch, even one that nothing was bound to: the staged rows themselves.
    for kernel in [Kernel::Stage, Kernel::Steps] {
        let bound = kernel.bind_to(&noop, scratch.staged(), &scratch, &buffers.args());
        assert!(matches!(
            bound.unwrap_err(),
            Error::Aliased {
                argument: "staged",
                ..
            }
        ));
    }
}

/// A table in several buffers is looked up and not trained.
#[test]
fn tables_of_several_shards() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let scratch = noop.learn_scratch();
    let memory = noop.storage(4096);
    let (rows, dim) = SHAPE;
    let shards = [(0..4, 0), (4..rows, 1024)].map(|(rows, offset)| Shard {
        rows,
        words: range(&memory, offset, 1024).unwrap(),
    });
    let desc = TableDesc {
        format: S4,
        rows,
        dim,
    };
    let table = Table::from_shards(&noop.kernels, desc, &shards, None).unwrap();
    for kernel in KERNELS {
        let error = kernel.bind_to(&noop, &table, &scratch, &buffers.args());
        assert_eq!(
            error.unwrap_err().to_string(),
            "table: needs 2 of the device's bindings for a table that is trained, which is 1",
            "{kernel:?}"
        );
    }
}

/// Of more bags or positions than one binding or one grid holds.
#[test]
fn ranges_that_the_device_cannot_bind() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let large = noop.storage(200 << 20);
    let mut args = buffers.args().with("gradient", range(&large, 0, 0));
    args = args.with("offsets", range(&large, 0, 0));
    // 128 MiB of gradient, and one row.
    args.bags = (1 << 19) + 1;
    for kernel in KERNELS {
        let error = kernel.bind(&noop, &noop.table(S4), &args).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Limit {
                    argument: "gradient",
                    ..
                }
            ),
            "{error}"
        );
    }
}

/// Scratch for more positions than the device could bind segments of serves smaller batches.
#[test]
fn the_largest_scratch_serves_a_small_batch() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let desc = TableDesc {
        format: S4,
        rows: 10,
        dim: 1,
    };
    let table = noop.kernels.allocate(desc).unwrap();
    let scratch = noop.kernels.update_buffers(SortBuffers::MOST, 1).unwrap();
    let kernel = noop.kernels.update(GIVEN, BAGS).unwrap();
    let bound = kernel.bind(&table, &scratch, buffers.args().update(BadInput::Refuse));
    let bound = bound.unwrap();
    noop.submit(|pass| bound.record(pass));
}

#[test]
fn batches_of_nothing() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let all = [
        "indices",
        "offsets",
        "weights",
        "gradient",
        "state",
        "steps",
        "weight_gradient",
    ];
    // No bags and no positions: nothing is needed but what is not optional, in scratch for nothing.
    let mut nothing = buffers.args().without(&all);
    (nothing.bags, nothing.positions) = (0, 0);
    // Bags, all of them empty: their offsets are looked at.
    let mut empty = buffers.args().without(&all);
    (empty.bags, empty.positions) = (4, 0);
    let empty = empty.with("offsets", buffers.args().get("offsets"));
    // Positions in no bag: no gradient.
    let mut outside = buffers.args().without(&["gradient"]);
    outside.bags = 0;
    let table = noop.table(S4);
    let none = noop.kernels.learn_buffers(0, S4, 64).unwrap();
    for kernel in KERNELS {
        kernel.bind_to(&noop, &table, &none, &nothing).unwrap();
        kernel.bind_to(&noop, &table, &none, &empty).unwrap();
        kernel.bind(&noop, &table, &outside).unwrap();
        let error = kernel.bind(&noop, &table, &empty.clone().without(&["offsets"]));
        assert_eq!(
            error.unwrap_err().to_string(),
            "offsets: needed a range, got None"
        );
    }
}

/// A table without rows: bad indices are counted, nothing else is needed.
#[test]
fn a_table_without_rows() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let desc = TableDesc {
        format: S4,
        rows: 0,
        dim: 64,
    };
    let table = noop.kernels.allocate(desc).unwrap();
    for kernel in [Kernel::Update, Kernel::Stage, Kernel::Steps] {
        let args = buffers.args().without(&["gradient", "state", "steps"]);
        kernel.bind(&noop, &table, &args).unwrap();
    }
    Kernel::Weigh.bind(&noop, &table, &buffers.args()).unwrap();
}

#[test]
fn a_lost_device_is_said_to_be_lost() {
    let noop = Noop::new();
    let buffers = Buffers::new(&noop);
    let (table, scratch) = (noop.table(S4), noop.learn_scratch());
    let args = buffers.args();
    for kernel in KERNELS {
        kernel.bind_to(&noop, &table, &scratch, &args).unwrap();
    }
    noop.device.destroy();
    let lost = |error| assert!(matches!(error, Error::DeviceLost));
    for kernel in KERNELS {
        lost(kernel.bind_to(&noop, &table, &scratch, &args).unwrap_err());
    }
    lost(noop.kernels.update_buffers(12, 64).unwrap_err());
    lost(noop.kernels.learn_buffers(12, S4, 64).unwrap_err());
    let sgd = UpdateSpec {
        optimizer: Optimizer::Sgd,
        ..FROZEN
    };
    lost(noop.kernels.update(sgd, BAGS).unwrap_err());
}
