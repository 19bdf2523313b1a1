//! GPU kernels for **quantized embedding tables**: rows of packed 2, 3, 4 or 8-bit codes with a scale and
//! a bias each, with a step, or with a codebook of their own or of their block, and rows of floats beside them, looked
//! up, pooled, quantized, dequantized and trained on every GPU that wgpu reaches, and checked against a CPU reference.
//!
//! # Ten lines
//!
//! ```no_run
//! use qembed::{Bits, Format, Method, PackedTable, Pooling, Session};
//!
//! let rows: Vec<f32> = (0..64_000).map(|i| (i as f32).sin()).collect();
//! let packed = PackedTable::quantize(&rows, 64, Format::affine(Bits::B4), Method::Asym)?;
//!
//! let session = Session::new()?;
//! let table = session.upload(&packed)?;
//! let vectors = session.gather(&table, &[3, 17, 42])?;
//! let bags = session.pool(&table, &[3, 17, 42], &[0, 2, 3], Pooling::Mean)?;
//! # Ok::<(), qembed::Error>(())
//! ```
//!
//! # Words
//!
//! A *table* has `rows` x `dim`. A *row* has a *header* and *codes*, packed in u32 *words*. An *affine*
//! row's header is `scale` and `bias`; `value = scale * code + bias`. A *symmetric* row's header is a `step`,
//! and its codes are signed; `value = step * code`. A row with a *codebook* has `2^bits`
//! *centroids* in place of them; `value = codebook[code]`. Rows may share codebooks by *blocks*: they have no
//! header then, and the table has a block id for each ([`Blocks`]). Or a row has its values themselves, *floats*
//! of f32, f16 or bf16 ([`Float`]). A [`Format`] says which, a [`Method`] how
//! scale and bias, a step, or centroids, are chosen.
//!
//! A *lookup* reads `indices`; *bags* are delimited by `offsets` (bags + 1 entries); `weights` run
//! parallel to `indices`; the output is `[bags, dim]`, row-major. (PyTorch: `EmbeddingBag` with
//! `include_last_offset=True`, `per_sample_weights`.)
//!
//! # Methods
//!
//! [`Method::Asym`] takes a row's minimum and maximum, as PyTorch does it, byte for byte;
//! [`Method::GreedyTorch`] is PyTorch's `optimized_qparams`; [`Method::Lsq`] leaves less error in as many
//! bytes; [`Method::Kmeans`] writes codebooks, which leave the least of most rows at the width of a code;
//! [`Method::Absmax`] writes symmetric rows, [`PackedTable::with_steps`] such rows with steps that are given,
//! [`Method::Cast`] rows of floats.
//! `docs/accuracy.md` has them all, and `qembed compare` measures them on rows of one's own.
//!
//! # Training
//!
//! [`Session::train`] and [`cpu::Training`] train tables that exist only as integers: [`training`] has
//! optimizers, rounding and learned steps, [`philox`] the random bits, and `docs/training.md` the formulas.
//!
//! # In an engine
//!
//! [`gpu::Kernels`] records into the caller's pass, on the caller's buffers. `examples/embed.rs` is a
//! whole one. What each call does behind the caller's back:
//!
//! | call | allocates | compiles | submits | blocks | fails |
//! |---|---|---|---|---|---|
//! | `Kernels::new` | no | no | no | no | limits |
//! | `Kernels::lookup`, `dequantize` | pipeline | first time per variant | no | while compiling | unsupported, driver, device lost |
//! | `Kernels::quantize` | pipeline; with a histogram method `8 * bins^2` bytes, once | first time per variant, class of dims and bins | no | while compiling | shape, unsupported, driver, memory, device lost |
//! | `Table::from_buffers`, `from_shards` | 24 bytes | no | no | no | shape, range, limit, device lost |
//! | `Kernels::allocate` | the rows, 24 bytes | no | no | no | shape, limit, memory, device lost |
//! | `Kernels::upload` | the rows, shared codebooks and block ids, 24 bytes, wgpu's staging | no | no (arrives with the next submit) | no | shape, limit, memory, device lost |
//! | `Table::write_rows` | 4 bytes, wgpu's staging | no | no (arrives with the next submit) | no | shape, unsupported, usage, memory, device lost |
//! | `Lookup::bind` | bind group, 8 to 56 bytes | `prepare`, once, for device counts; a plan that is not the usual one, once | no | no | shape, range, limit, device lost |
//! | the same, of a table of several shards | also a packed row and 4 bytes an index; a bind group and 8 bytes a shard, 32 or 64 bytes | also the kernel that copies rows together, once, and `lookup` of the rows that it makes of [`Blocks`] | no | no | also limit, memory |
//! | `Lookup::reading` | pipeline | first time per type of indices | no | while compiling | driver, device lost |
//! | `Kernels::upload_arena` | the tables' words, wgpu's staging | no | no (arrives with the next submit) | no | remap, shape, limit, memory, device lost |
//! | `Arena::from_buffer` | no | no | no | no | shape, unsupported, range, limit |
//! | `Arena::write_rows` | 4 bytes, wgpu's staging | no | no (arrives with the next submit) | no | shape, unsupported, usage, memory, device lost |
//! | `Kernels::batched` | pipeline | first time for what the features have | no | while compiling | shape, unsupported, limit, driver, device lost |
//! | `BatchedLookup::bind` | bind group, 80 bytes a feature, 16 to 40 bytes | no | no | no | shape, range, limit, device lost |
//! | `Quantize::bind` | bind group and 32 bytes a shard, 24 bytes | no | no | no | shape, range, limit, device lost |
//! | `Dequantize::bind` | bind group and 16 bytes a shard | no | no | no | shape, range, limit, device lost |
//! | `Kernels::sort` | 5 pipelines | first time | no | while compiling | driver, device lost |
//! | `Kernels::sort_buffers` | 33 bytes a position, 2 KiB | no | no | no | shape, limit, memory, device lost |
//! | `Sort::bind` | 2 to 15 bind groups, 16 to 80 bytes | no | no | no | shape, range, limit, device lost |
//! | `Kernels::update`, `learn`, `weigh` | 8 to 11 pipelines | first time per variant | no | while compiling | unsupported, driver, device lost |
//! | `Kernels::update_buffers` | `4 * dim + 45` bytes a position, 2 KiB | no | no | no | shape, limit, memory, device lost |
//! | `Kernels::learn_buffers` | the same, and `4 * dim + 4` bytes and a packed row a position | no | no | no | shape, limit, memory, device lost |
//! | `Update::bind`, `Learn::bind_*`, `Weigh::bind` | a bind group and 16 bytes a dispatch | no | no | no | shape, range, limit, device lost |
//! | `record` | no | no | no | no | never |
//! | [`Session`]'s methods | yes | yes | yes | yes | anything above |
//!
//! A table that no binding of the device holds lies in several buffers, its *shards* ([`gpu::Shard`]), behind the same
//! calls; a lookup there first copies the rows of all its indices together, and no kernel trains it.
//!
//! `record` sets the pass's pipeline and bind group 0 and leaves everything else alone. Inside one pass
//! wgpu orders dispatches that share buffers. In a browser errors of wgpu itself reach the page's
//! console instead of the result.
//!
//! # Many tables at once
//!
//! Tables of any dims and formats lie in one [`gpu::Arena`]; a [`Feature`] is a table and how its bags are pooled, and
//! features may share a table. One array of indices and one of offsets, `features * bags + 1` entries, serve all of
//! them, feature by feature (FBGEMM: TBE), and one dispatch writes `[bags, sum of dims]`, or wherever each feature's
//! [`Place`] is. A table may have a remap, whose entries are rows or [`PRUNED`]. `gpu::Kernels::batched` has it for
//! engines, with u32 or i64 indices ([`IndexType`]); [`Session::batched`] and [`cpu::batched`] for everybody.
//! An arena is one binding: tables that do not fit one go to several arenas, or by themselves.
//!
//! # Accuracy
//!
//! Codes, headers, gathers and max pooling equal [`mod@reference`]'s bits on every device; sums and means
//! lie within an elementwise bound ([`reference::Pooled::bound`]). `docs/accuracy.md` derives it, and
//! [`verify`] checks it on the device at hand. [`Method::Kmeans`] finds its centroids in another way on a GPU
//! than on the CPU, and [`Method::KmeansCls`] runs on the CPU alone.
//!
//! # Features
//!
//! - `gpu`: the kernels, on wgpu. Without it everything pure is left: formats, tables, reference, CPU.
//! - `session`: the blocking [`Session`]; brings wgpu's native backends.
//! - `io`: table files and checkpoints of training (safetensors), and arrays (npy).

#[cfg(target_endian = "big")]
compile_error!("packed rows are little-endian; big-endian hosts are not supported");

mod batched;
pub mod cpu;
mod error;
mod format;
#[cfg(feature = "gpu")]
pub mod gpu;
#[cfg(feature = "io")]
pub mod io;
pub mod method;
pub mod philox;
pub mod reference;
mod request;
#[cfg(feature = "session")]
mod session;
pub mod shader;
mod spec;
mod table;
pub mod training;
pub mod verify;

pub use batched::{BatchedRequest, BatchedTable, Feature, PRUNED, Place};
pub use error::{Error, Result};
pub use format::{
    Bits, Blocks, Codebook, DIM_RANGE, Float, Format, Header, Layout, Levels, Narrow, Params, Row,
    RowAlignment,
};
pub use half;
pub use method::{Method, Search};
pub use request::{Looked, LookupRequest, OutOfRange, Values};
#[cfg(feature = "session")]
pub use session::{Adapters, Session, Training, TrainingMemory};
pub use spec::{
    IndexType, LookupPlan, LookupSpec, LookupStatus, Output, Pooling, Promise, QuantizeSpec,
    QuantizeStatus, Weighting,
};
pub use table::PackedTable;
#[cfg(feature = "gpu")]
pub use wgpu;

/// Compiles the README's examples.
#[cfg(all(doctest, feature = "session"))]
#[doc = include_str!("../README.md")]
struct Readme;
