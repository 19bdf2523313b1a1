//! The command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use qembed::{Bits, Method, Output, Params, Pooling};

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
    /// Quantize, look up and compare a real table that ships with qembed
    Demo(Demo),
}

impl Command {
    /// The file that it writes.
    pub fn output(&self) -> Option<&Path> {
        match self {
            Self::Info(_) | Self::Inspect(_) | Self::Demo(_) => None,
            Self::Quantize(args) => Some(&args.output),
            Self::Dequantize(args) => Some(&args.output),
            Self::Lookup(args) => Some(&args.output),
            Self::Export(args) => Some(&args.output),
            Self::Import(args) => Some(&args.output),
            Self::Verify(args) => args.json.as_deref(),
        }
    }

    /// The files that it reads.
    pub fn inputs(&self) -> Vec<&Path> {
        match self {
            Self::Info(_) | Self::Verify(_) | Self::Demo(_) => vec![],
            Self::Quantize(args) => vec![&args.input],
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
    /// Bits per value: 2, 4 or 8
    #[arg(long, value_parser = parse_bits)]
    pub bits: Bits,
    /// How scale and bias are chosen
    #[arg(long, value_enum, default_value = "asym")]
    pub method: MethodChoice,
    /// Type of scale and bias [default: f16; f32 at 8 bits]
    #[arg(long, value_enum)]
    pub params: Option<ParamsChoice>,
    /// Where to quantize
    #[arg(long, value_enum, default_value = "auto")]
    pub device: DeviceChoice,
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
    #[arg(long, value_parser = parse_bits)]
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

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where to run it
    #[arg(long, value_enum, default_value = "auto")]
    pub device: DeviceChoice,
}

/// `--method`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MethodChoice {
    /// From the row's minimum to its maximum, as PyTorch does it
    Asym,
}

impl From<MethodChoice> for Method {
    fn from(choice: MethodChoice) -> Self {
        match choice {
            MethodChoice::Asym => Self::Asym,
        }
    }
}

/// `--params` and `--dtype`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ParamsChoice {
    /// Half precision
    F16,
    /// Single precision
    F32,
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
        .ok_or_else(|| "needed 2, 4 or 8".into())
}
