//! Ring 4, sort: literals on the reference, then the GPU against it, bit for bit.

mod common;

use common::{Bench, gpu};
use qembed::gpu::{SortArgs, SortBuffers};
use qembed::reference::{self, Sorted};
use qembed::shader::{SORT_FEW_TILES, SORT_TILE};
use qembed::training::NO_SEGMENT;
use qembed::wgpu;

/// What stands in every output before a sort, and on both sides of its keys.
const POISON: u32 = 0x7fed_7fed;

#[test]
fn the_reference_gives_what_is_written_by_hand() {
    let sorted = reference::sort(&[5, 2, 9, 5, 0, 2, 5], 9);
    let expected = Sorted {
        positions: vec![4, 1, 5, 0, 3, 6, 2],
        segments: vec![[0, 0], [2, 1], [5, 2], [u32::MAX, 3]],
        chunks: vec![0, 1, 3, 6],
        ranks: vec![2, 1, NO_SEGMENT, 2, 0, 1, 2],
        totals: [3, 3, 6, 0],
    };
    assert_eq!(sorted, expected);
}

#[test]
fn the_reference_cuts_segments_into_chunks_from_their_first_slot() {
    let mut keys = vec![7; 600];
    keys.extend([1, 3, 8]);
    let sorted = reference::sort(&keys, 8);
    assert_eq!(&sorted.positions[..3], [600, 601, 0]);
    assert_eq!(sorted.positions[602], 602);
    assert_eq!(sorted.segments, [[1, 0], [3, 1], [7, 2], [u32::MAX, 5]]);
    assert_eq!(sorted.chunks, [0, 1, 2, 258, 514, 602]);
    assert_eq!(sorted.totals, [3, 5, 602, 0]);
}

#[test]
fn the_reference_of_nothing() {
    let expected = Sorted {
        positions: vec![],
        segments: vec![[u32::MAX, 0]],
        chunks: vec![0],
        ranks: vec![],
        totals: [0; 4],
    };
    assert_eq!(reference::sort(&[], 9), expected);
    let dropped = Sorted {
        positions: vec![0, 1],
        ranks: vec![NO_SEGMENT; 2],
        ..expected
    };
    assert_eq!(reference::sort(&[3, 9], 0), dropped);
}

/// A sort on the device under test.
struct Device {
    bench: Bench<'static>,
    sort: qembed::gpu::Sort,
}

impl Device {
    fn new() -> Option<Self> {
        let session = gpu()?;
        Some(Self {
            bench: Bench { session },
            sort: session.kernels().sort().unwrap(),
        })
    }

    fn buffers(&self, capacity: u32) -> SortBuffers {
        self.bench.session.kernels().sort_buffers(capacity).unwrap()
    }

    /// Binds keys that lie in the middle of a larger buffer.
    fn bind(&self, buffers: &SortBuffers, keys: &[u32], rows: u32) -> qembed::gpu::BoundSort {
        let poison = [POISON; 64];
        let memory = self.bench.buffer(&[&poison, keys, &poison].concat());
        let keys = SortArgs {
            count: keys.len() as u32,
            rows,
            keys: wgpu::BufferBinding {
                buffer: &memory,
                offset: 256,
                size: None,
            },
        };
        self.sort.bind(buffers, keys).unwrap()
    }

    /// What the outputs hold, cut to what a batch of so many keys has.
    fn read(&self, buffers: &SortBuffers, count: usize) -> Sorted {
        let totals = self.bench.read(buffers.totals());
        let [segments, chunks, ..] = totals[..] else {
            panic!("totals has {} words", totals.len())
        };
        assert!(
            segments as usize <= count && chunks as usize <= count,
            "{totals:?}"
        );
        let read = |buffer, words: usize| self.bench.read(buffer)[..words].to_vec();
        let pairs = read(buffers.segments(), 2 * (segments as usize + 1));
        Sorted {
            positions: read(buffers.positions(), count),
            segments: pairs
                .chunks_exact(2)
                .map(|pair| [pair[0], pair[1]])
                .collect(),
            chunks: read(buffers.chunks(), chunks as usize + 1),
            ranks: read(buffers.ranks(), count),
            totals: totals.try_into().unwrap(),
        }
    }

    fn check_in(&self, buffers: &SortBuffers, name: &str, keys: &[u32], rows: u32) {
        let bound = self.bind(buffers, keys, rows);
        self.bench.submit(|pass| bound.record(pass));
        let expected = reference::sort(keys, rows);
        let got = self.read(buffers, keys.len());
        let case = format!("{name}: {} keys, {rows} rows", keys.len());
        compare(&case, "positions", &expected.positions, &got.positions);
        compare(&case, "segments", &expected.segments, &got.segments);
        compare(&case, "chunks", &expected.chunks, &got.chunks);
        compare(&case, "ranks", &expected.ranks, &got.ranks);
        assert_eq!(expected.totals, got.totals, "{case}");
    }

    fn check(&self, name: &str, keys: &[u32], rows: u32) {
        self.check_in(&self.buffers(keys.len() as u32), name, keys, rows);
    }
}

/// Names the first difference; both in full would be a page.
fn compare<T: PartialEq + std::fmt::Debug>(case: &str, what: &str, expected: &[T], got: &[T]) {
    assert_eq!(expected.len(), got.len(), "{case}: {what}");
    let differ = expected.iter().zip(got).position(|(a, b)| a != b);
    if let Some(at) = differ {
        panic!(
            "{case}: {what}[{at}] is {:?}, not {:?}",
            got[at], expected[at]
        );
    }
}

/// Numbers below `below` that nobody chose.
fn random(seed: u32, count: usize, below: u32) -> Vec<u32> {
    let mut state = u64::from(seed) + 1;
    let next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (((state >> 32) * u64::from(below)) >> 32) as u32
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Row 0 makes about half of it, row 1 a quarter, and so on; then every fifth is no row.
fn zipf(count: usize, rows: u32) -> Vec<u32> {
    let skewed = random(3, count, u32::MAX)
        .into_iter()
        .map(|x| x.leading_zeros());
    let dropped = |(at, row)| if at % 5 == 4 { rows } else { row };
    skewed.enumerate().map(dropped).collect()
}

/// Sizes on both sides of what the kernels split by: rounds of 256 slots, tiles of 2048.
const SIZES: [u32; 17] = [
    0, 1, 2, 63, 64, 65, 255, 256, 257, 511, 1000, 2047, 2048, 2049, 4096, 4097, 10_000,
];

#[test]
fn every_size_and_every_kind_of_batch() {
    let Some(device) = Device::new() else { return };
    for count in SIZES {
        let most = count.max(1);
        device.check("all equal", &vec![6; count as usize], 7);
        device.check("all dropped", &vec![7; count as usize], 7);
        device.check("one row", &random(1, count as usize, 2), 1);
        device.check("no rows", &random(1, count as usize, 2), 0);
        device.check("in order", &Vec::from_iter(0..count), most);
        device.check("reversed", &Vec::from_iter((0..count).rev()), most);
        device.check("few rows", &random(1, count as usize, 11), 10);
        device.check("many rows", &random(2, count as usize, 70_000), 65_000);
        device.check("zipf", &zipf(count as usize, 40), 40);
    }
}

/// One to four passes, and rows on both sides of where another one is needed.
#[test]
fn every_number_of_rows() {
    let Some(device) = Device::new() else { return };
    let sizes = [
        1,
        2,
        255,
        256,
        257,
        65_535,
        65_536,
        1 << 24,
        (1 << 24) + 1,
        u32::MAX,
    ];
    for rows in sizes {
        let mut keys = random(rows, 3000, u32::MAX);
        device.check("words", &keys, rows);
        keys.extend([0, rows - 1, rows, u32::MAX - 1, u32::MAX].repeat(300));
        keys.extend(random(rows, 3000, rows));
        device.check("edges", &keys, rows);
    }
}

/// Segments that fill chunks, chunks that begin in one tile and end in the next.
#[test]
fn segments_of_every_length_about_a_chunk() {
    let Some(device) = Device::new() else { return };
    let lengths = [
        1, 255, 256, 257, 511, 512, 513, 2, 2048, 3, 4095, 5000, 256, 256, 1,
    ];
    let keys = lengths
        .iter()
        .zip(0..)
        .flat_map(|(&length, row)| vec![row; length]);
    let mut keys = Vec::from_iter(keys);
    device.check("in order", &keys, 15);
    keys.reverse();
    device.check("reversed", &keys, 14);
    // 7 has no divisor in common with the number of keys: every key once, far from its neighbours.
    let count = keys.len();
    assert_ne!(count % 7, 0);
    let dealt = Vec::from_iter((0..count).map(|at| keys[at * 7 % count]));
    device.check("dealt out", &dealt, 15);
}

/// The most that is sorted without sums over tiles, one more, and more tiles than such a sum has lanes.
#[test]
fn many_tiles() {
    let Some(device) = Device::new() else { return };
    let most = SORT_FEW_TILES * SORT_TILE;
    for count in [most, most + 1, 257 * SORT_TILE + 1] {
        let buffers = device.buffers(count);
        let length = count as usize;
        let million = 1_000_000;
        device.check_in(
            &buffers,
            "random",
            &random(4, length, million + 100),
            million,
        );
        device.check_in(&buffers, "zipf", &zipf(length, million), million);
        device.check_in(&buffers, "all equal", &vec![3; length], 4);
        device.check_in(
            &buffers,
            "reversed",
            &Vec::from_iter((0..count).rev()),
            count,
        );
    }
}

/// One bind, recorded again and beside another: the last of a pass is what is read.
#[test]
fn buffers_serve_one_batch_after_another() {
    let Some(device) = Device::new() else { return };
    let buffers = device.buffers(5000);
    assert_eq!(buffers.capacity(), 5000);
    let (large, small) = (random(5, 5000, 1000), random(6, 300, 70));
    let first = device.bind(&buffers, &large, 900);
    let second = device.bind(&buffers, &small, 65);
    let (of_large, of_small) = (reference::sort(&large, 900), reference::sort(&small, 65));
    for (bounds, expected) in [
        (vec![&first], &of_large),
        (vec![&first, &second], &of_small),
        (vec![&second, &first, &first], &of_large),
    ] {
        device
            .bench
            .submit(|pass| bounds.iter().for_each(|bound| bound.record(pass)));
        assert_eq!(*expected, device.read(&buffers, expected.positions.len()));
    }
    device.bench.submit(|pass| second.record(pass));
    assert_eq!(of_small, device.read(&buffers, small.len()));
    let behind = |buffer, from: usize| device.bench.read(buffer)[from..].to_vec();
    assert_eq!(behind(buffers.positions(), 300), of_large.positions[300..]);
    assert_eq!(behind(buffers.ranks(), 300), of_large.ranks[300..]);
    let chunks = of_small.chunks.len();
    assert_eq!(
        behind(buffers.chunks(), chunks)[..100],
        of_large.chunks[chunks..][..100]
    );
}

/// A large batch with one long segment: no lane's loops may be so long that a driver ends them. The largest that
/// there is, 2^24, where `QEMBED_LARGE=1`.
#[test]
fn large_batches() {
    let Some(device) = Device::new() else { return };
    let rows = 10_000_000;
    let largest = std::env::var("QEMBED_LARGE").is_ok_and(|value| value == "1");
    for count in [1 << 18]
        .into_iter()
        .chain(largest.then_some(SortBuffers::MOST))
    {
        let mut keys = random(7, count as usize, rows + 1000);
        keys[..count as usize / 4].fill(77);
        let buffers = device.buffers(count);
        device.check_in(&buffers, "random, and a long segment", &keys, rows);
    }
}
