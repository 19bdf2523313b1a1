//! The command line.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use qembed::{Bits, DIM_RANGE, Float, Method, Output, Params, Pooling};

/// Quantized embedding tables on any GPU: quantize, look up, verify.
#[derive(Debug, Parser)]
#[command(name = "qembed", version, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the graphics adapters, and which device each choice takes
    Info(Info),
    /// Quantize a matrix to a table file
    Quantize(Quantize),
    /// Compare every method at every width on a sample of rows
    Compare(Compare),
    /// Turn a table file back into f32 rows
    Dequantize(Dequantize),
    /// Print what a table file holds
    Inspect(Inspect),
    /// Look rows up and pool them
    Lookup(Lookup),
    /// Write a table's rows in another library's layout
    Export(Export),
    /// Read rows in another library's layout
    Import(Import),
    /// Check every kernel against the reference, on this device
    Verify(Verify),
    /// Measure how fast every kernel is on this device, beside a copy and beside how others do it
    Bench(Bench),
    /// Quantize, look up and compare a real table that ships with qembed
    Demo(Demo),
}

impl Command {
    /// The files that it writes.
    pub fn outputs(&self) -> Vec<&Path> {
        match self {
            Self::Info(_) | Self::Inspect(_) | Self::Demo(_) => vec![],
            Self::Quantize(args) => vec![&args.output],
            Self::Compare(args) => {
                let optional = [&args.json, &args.html].into_iter().flatten();
                optional.map(PathBuf::as_path).collect()
            }
            Self::Bench(args) => {
                let optional = [&args.json, &args.html].into_iter().flatten();
                optional.map(PathBuf::as_path).collect()
            }
            Self::Dequantize(args) => vec![&args.output],
            Self::Lookup(args) => vec![&args.output],
            Self::Export(args) => vec![&args.output],
            Self::Import(args) => vec![&args.output],
            Self::Verify(args) => args.json.iter().map(PathBuf::as_path).collect(),
        }
    }

    /// The files that it reads.
    pub fn inputs(&self) -> Vec<&Path> {
        match self {
            Self::Info(_) | Self::Verify(_) | Self::Bench(_) | Self::Demo(_) => vec![],
            Self::Quantize(args) => vec![&args.input],
            Self::Compare(args) => vec![&args.input],
            Self::Dequantize(args) => vec![&args.table],
            Self::Inspect(args) => vec![&args.table],
            Self::Lookup(args) => {
                let optional = [&args.offsets, &args.weights].into_iter().flatten();
                let all = [&args.table, &args.indices].into_iter().chain(optional);
                all.map(PathBuf::as_path).collect()
            }
            Self::Export(args) => vec![&args.table],
            Self::Import(args) => vec![&args.rows],
        }
    }
}

/// Where the kernels run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, else the CPU (verify and demo: a software GPU before the CPU)
    Auto,
    /// A GPU, software adapters included
    Gpu,
    /// The CPU
    Cpu,
}

/// Arguments of `info`.
#[derive(Debug, Args)]
pub struct Info {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `quantize`.
#[derive(Debug, Args)]
pub struct Quantize {
    /// Matrix to quantize: .safetensors (F32, F16, BF16) or .npy (f4, f2)
    pub input: PathBuf,
    /// Table file to write
    #[arg(long)]
    pub output: PathBuf,
    /// Tensor to take where the input holds several
    #[arg(long)]
    pub tensor: Option<String>,
    /// What rows hold
    #[command(flatten)]
    pub values: StoredValues,
    /// How scale and bias, a step, or a codebook, are chosen; `qembed compare` shows what each costs
    /// [default: asym; with --float: cast]
    #[arg(long, value_parser = methods())]
    pub method: Option<Method>,
    /// What tunes the method
    #[command(flatten)]
    pub parameters: Parameters,
    /// Type of scale and bias, or of the step [default: f16; f32 at 8 bits]
    #[arg(long, value_enum, conflicts_with = "float")]
    pub params: Option<ParamsChoice>,
    /// Memory for rows on their way through, as 512MiB or 2GiB; a larger matrix goes in parts
    #[arg(long, value_parser = parse_bytes, default_value = "1GiB")]
    pub memory: u64,
    /// Where to quantize
    #[arg(long, value_enum, default_value = "auto")]
    pub device: DeviceChoice,
}

/// Codes of a width, or floats; one of them must be chosen.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct StoredValues {
    /// Bits per value: 2, 3, 4 or 8
    #[arg(long, value_parser = parse_bits)]
    pub bits: Option<Bits>,
    /// Floats in place of codes: each value rounded once, f32 not at all
    #[arg(long, value_enum)]
    pub float: Option<FloatChoice>,
}

/// Parameters of methods; each belongs to some of them.
#[derive(Debug, Args)]
pub struct Parameters {
    /// Bins of a histogram, or steps that a greedy search divides the range into [default: 200]
    #[arg(long)]
    pub bins: Option<u32>,
    /// How much of the range a greedy search may give up, above 0 and below 1 [default: 0.16]
    #[arg(long, allow_negative_numbers = true)]
    pub ratio: Option<f64>,
    /// Rounds of lsq, best and kmeans [default: 20], and of kmeans-cls [default: 10]
    #[arg(long)]
    pub iterations: Option<u32>,
    /// Blocks of kmeans-cls [default: as many as make the table as large as with asym]
    #[arg(long)]
    pub blocks: Option<u32>,
}

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// Matrix to take rows of: .safetensors (F32, F16, BF16) or .npy (f4, f2)
    pub input: PathBuf,
    /// Tensor to take where the input holds several
    #[arg(long)]
    pub tensor: Option<String>,
    /// Bits per value, separated by commas
    #[arg(long, value_parser = parse_bits, value_delimiter = ',', default_value = "2,3,4,8")]
    pub bits: Vec<Bits>,
    /// Rows to take, evenly spaced; all of them where there are fewer
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), default_value = "2048")]
    pub rows: u32,
    /// Methods, separated by commas [default: all]
    #[arg(long, value_parser = methods(), value_delimiter = ',')]
    pub methods: Vec<Method>,
    /// Write every number
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Write one page with plots and a table
    #[arg(long)]
    pub html: Option<PathBuf>,
}

/// Arguments of `dequantize`.
#[derive(Debug, Args)]
pub struct Dequantize {
    /// Table file
    pub table: PathBuf,
    /// .npy file to write, f4
    #[arg(long)]
    pub output: PathBuf,
    /// Where to dequantize
    #[arg(long, value_enum, default_value = "auto")]
    pub device: DeviceChoice,
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Table file
    pub table: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `lookup`.
#[derive(Debug, Args)]
pub struct Lookup {
    /// Table file
    pub table: PathBuf,
    /// .npy file of rows to look up: i4, i8 or u4, one dimension
    #[arg(long)]
    pub indices: PathBuf,
    /// .npy file of where bags begin, bags + 1 entries: i4, i8 or u4
    #[arg(long)]
    pub offsets: Option<PathBuf>,
    /// .npy file of one weight for every index: f4 or f2
    #[arg(long)]
    pub weights: Option<PathBuf>,
    /// How bags are pooled [default: sum where there are offsets, else none]
    #[arg(long, value_enum)]
    pub pooling: Option<PoolingChoice>,
    /// What bad indices and bad bags do
    #[arg(long, value_enum, default_value = "error")]
    pub out_of_range: OutOfRangeChoice,
    /// Type of the output
    #[arg(long, value_enum, default_value = "f32")]
    pub dtype: ParamsChoice,
    /// .npy file to write
    #[arg(long)]
    pub output: PathBuf,
    /// Where to look up
    #[arg(long, value_enum, default_value = "auto")]
    pub device: DeviceChoice,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Table file
    pub table: PathBuf,
    /// Layout of the rows
    #[arg(long, value_enum)]
    pub layout: LayoutChoice,
    /// Multiple that tbe rows are padded to: 1, 4 or 16 [default: 16]
    #[arg(long)]
    pub row_alignment: Option<u32>,
    /// Let f32 headers be rounded to f16 where the layout has f16
    #[arg(long)]
    pub narrow: bool,
    /// .npy file to write, u1, two dimensions
    #[arg(long)]
    pub output: PathBuf,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// .npy file of rows: u1, two dimensions
    pub rows: PathBuf,
    /// Layout of the rows
    #[arg(long, value_enum)]
    pub layout: LayoutChoice,
    /// Bits per value: 2, 4 or 8
    #[arg(long, value_parser = parse_foreign_bits)]
    pub bits: Bits,
    /// Number of columns
    #[arg(long)]
    pub dim: usize,
    /// Table file to write
    #[arg(long)]
    pub output: PathBuf,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Run the cases whose name contains this
    #[arg(long, default_value = "")]
    pub filter: String,
    /// Write every case with its largest error, in units of its bound
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// What to verify
    #[arg(long, value_enum, default_value = "auto")]
    pub device: DeviceChoice,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Measure those whose label is this, or contains it; several, separated by commas [default: a selection]
    #[arg(long, value_delimiter = ',')]
    pub filter: Vec<String>,
    /// Rows of the table; every axis takes one number or several, separated by commas
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_delimiter = ',')]
    pub rows: Vec<u32>,
    /// Number of columns, 1 to 8192
    #[arg(long, value_parser = clap::value_parser!(u32).range(dims()), value_delimiter = ',')]
    pub dim: Vec<u32>,
    /// Bags of a batch
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_delimiter = ',')]
    pub bags: Vec<u32>,
    /// Indices of a bag
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_delimiter = ',')]
    pub bag_length: Vec<u32>,
    /// Exponent of Zipf's law that indices follow; 0: every row as often as any other
    #[arg(long, value_parser = parse_zipf, value_delimiter = ',', allow_negative_numbers = true)]
    pub zipf: Vec<f64>,
    /// Repetitions in each timed run [default: as many as take 40 ms]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub iterations: Option<u32>,
    /// Smaller tables, fewer labels, shorter runs: less than a minute on two cores
    #[arg(long)]
    pub quick: bool,
    /// Write every number
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Write one page with plots and a table
    #[arg(long)]
    pub html: Option<PathBuf>,
    /// What to measure
    #[arg(long, value_enum, default_value = "auto")]
    pub device: DeviceChoice,
    /// Threads of the CPU [default: as many as it runs at once]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where to run it
    #[arg(long, value_enum, default_value = "auto")]
    pub device: DeviceChoice,
}

/// `--params` and `--dtype`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ParamsChoice {
    /// Half precision
    F16,
    /// Single precision
    F32,
}

/// `--float`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FloatChoice {
    /// Single precision
    F32,
    /// Half precision
    F16,
    /// The upper half of single precision
    Bf16,
}

impl From<FloatChoice> for Float {
    fn from(choice: FloatChoice) -> Self {
        match choice {
            FloatChoice::F32 => Self::F32,
            FloatChoice::F16 => Self::F16,
            FloatChoice::Bf16 => Self::Bf16,
        }
    }
}

impl From<ParamsChoice> for Params {
    fn from(choice: ParamsChoice) -> Self {
        match choice {
            ParamsChoice::F16 => Self::F16,
            ParamsChoice::F32 => Self::F32,
        }
    }
}

impl From<ParamsChoice> for Output {
    fn from(choice: ParamsChoice) -> Self {
        match choice {
            ParamsChoice::F16 => Self::F16,
            ParamsChoice::F32 => Self::F32,
        }
    }
}

/// `--pooling`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PoolingChoice {
    /// One output row for every index
    None,
    /// The sum of a bag's rows
    Sum,
    /// The sum divided by the number of indices
    Mean,
    /// The largest value of every column
    Max,
}

impl From<PoolingChoice> for Pooling {
    fn from(choice: PoolingChoice) -> Self {
        match choice {
            PoolingChoice::None => Self::None,
            PoolingChoice::Sum => Self::Sum,
            PoolingChoice::Mean => Self::Mean,
            PoolingChoice::Max => Self::Max,
        }
    }
}

/// `--out-of-range`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutOfRangeChoice {
    /// They are an error
    Error,
    /// They contribute nothing
    Skip,
}

/// `--layout`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LayoutChoice {
    /// PyTorch's and FBGEMM's fused rows: codes, then scale and bias
    Pytorch,
    /// FBGEMM's inference TBE: scale and bias as f16, then codes, padded
    Tbe,
}

fn parse_bits(text: &str) -> Result<Bits, String> {
    text.parse()
        .ok()
        .and_then(|count: u32| Bits::try_from(count).ok())
        .ok_or_else(|| "needed 2, 3, 4 or 8".into())
}

/// The widths that other libraries' layouts have.
fn parse_foreign_bits(text: &str) -> Result<Bits, String> {
    parse_bits(text)
        .ok()
        .filter(|bits| *bits != Bits::B3)
        .ok_or_else(|| "needed 2, 4 or 8".into())
}

/// A method by its name, with the parameters that it has unless told otherwise.
fn methods() -> impl TypedValueParser<Value = Method> {
    let by_name = |name: String| {
        let mut all = Method::ALL.iter().copied();
        all.find(|method| method.name() == name).ok_or(name)
    };
    PossibleValuesParser::new(Method::ALL.iter().map(|method| method.name())).try_map(by_name)
}

/// Columns that a row may have.
fn dims() -> std::ops::RangeInclusive<i64> {
    i64::from(*DIM_RANGE.start())..=i64::from(*DIM_RANGE.end())
}

fn parse_zipf(text: &str) -> Result<f64, String> {
    const MOST: f64 = 16.0;
    let number = text.parse().ok();
    number
        .filter(|exponent| (0.0..=MOST).contains(exponent))
        .ok_or_else(|| format!("needed a number from 0 to {MOST}"))
}

/// A number of bytes, with a unit or without.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("", 0)];
    let (digits, shift) = units
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
        .unwrap_or((text, 0));
    let bytes = digits.trim_end().parse::<u64>().ok();
    bytes
        .and_then(|bytes| bytes.checked_mul(1 << shift))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "needed a number of bytes, as 512MiB or 2GiB".into())
}
