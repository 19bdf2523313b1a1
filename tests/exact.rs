//! Ring 4, exact.wgsl and philox.wgsl: each of their functions on the GPU against the host's, bit by bit.

mod common;

use common::gpu;
use half::f16;
use qembed::reference::exact;
use qembed::reference::quantize::signed_code;
use qembed::verify::shapes::Random;
use qembed::wgpu::{self, BufferUsages};
use qembed::{Bits, Session, shader};

/// Applies one function of either fragment to every pair of words.
fn apply(session: &Session, function: &str, a: &[u32], b: &[u32]) -> Vec<u32> {
    let source = format!(
        "struct Table {{ zero: u32 }}
        @group(0) @binding(0) var<uniform> table: Table;
        @group(0) @binding(1) var<storage, read> a: array<u32>;
        @group(0) @binding(2) var<storage, read> b: array<u32>;
        @group(0) @binding(3) var<storage, read_write> out: array<u32>;
        {}
        {}
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
            let i = id.y * 65535u * 64u + id.x;
            if i >= arrayLength(&a) {{ return; }}
            let x = bitcast<f32>(a[i]);
            let y = bitcast<f32>(b[i]);
            out[i] = ({function}) ^ table.zero;
        }}",
        shader::EXACT,
        shader::PHILOX
    );
    let device = session.device();
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    let buffer = |words: &[u32], usage| {
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 4 * words.len() as u64,
            usage: usage | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        session
            .queue()
            .write_buffer(&buffer, 0, bytemuck::cast_slice(words));
        buffer
    };
    let zero = buffer(&[0; 4], BufferUsages::UNIFORM);
    let (a_buffer, b_buffer) = (
        buffer(a, BufferUsages::STORAGE),
        buffer(b, BufferUsages::STORAGE),
    );
    let out = buffer(&vec![0; a.len()], BufferUsages::STORAGE);
    let bound: Vec<_> = [(0, &zero), (1, &a_buffer), (2, &b_buffer), (3, &out)]
        .into_iter()
        .map(|(binding, buffer)| wgpu::BindGroupEntry {
            binding,
            resource: buffer.as_entire_binding(),
        })
        .collect();
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &bound,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &group, &[]);
    let groups = (a.len() as u32).div_ceil(64);
    assert!(groups <= 65535);
    pass.dispatch_workgroups(groups, 1, 1);
    drop(pass);
    let staging = buffer_to_read(device, out.size());
    encoder.copy_buffer_to_buffer(&out, 0, &staging, 0, out.size());
    session.queue().submit([encoder.finish()]);
    staging.slice(..).map_async(wgpu::MapMode::Read, |_| ());
    session.wait().unwrap();
    bytemuck::cast_slice(&staging.slice(..).get_mapped_range().unwrap()).to_vec()
}

fn buffer_to_read(device: &wgpu::Device, size: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size,
        usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// Numbers at every edge, each with each other, then random ones; a third of those have products about
/// 2^-126, a third quotients.
fn pairs() -> (Vec<f32>, Vec<f32>) {
    let mut edges = vec![0.0, f32::INFINITY, f32::MAX, 255.0, 1e-8, 15.0, 1.0 / 3.0];
    for exponent in [
        -126, -125, -102, -64, -63, -62, -24, -1, 0, 1, 24, 62, 63, 64, 127,
    ] {
        let power = 2.0f32.powi(exponent);
        edges.extend([power, power.next_up(), power * 1.5, power * 1.999_999_9]);
        edges.extend(Some(power.next_down()).filter(|x| x.is_normal()));
    }
    let negative: Vec<_> = edges.iter().map(|x| -x).collect();
    edges.extend(negative);
    let mut a = vec![];
    let mut b = vec![];
    for x in &edges {
        for y in &edges {
            a.push(*x);
            b.push(*y);
        }
    }
    let mut random = Random::new(5);
    let mut float = |exponent: u32| {
        let word = random.word();
        f32::from_bits(word & 0x807f_ffff | exponent.clamp(1, 254) << 23)
    };
    let mut exponents = Random::new(6);
    for i in 0..600_000 {
        let first = exponents.below(254);
        let near = exponents.below(6);
        let second = match i % 3 {
            0 => exponents.below(254),
            // Biased exponents of a product add up to 127 and its own, those of a quotient differ.
            1 => (125 + near).saturating_sub(first),
            _ => first + 124 + near,
        };
        a.push(float(first));
        b.push(float(second));
    }
    (a, b)
}

/// The generator must reach what it is for.
#[test]
fn a_good_part_of_the_pairs_lies_where_results_underflow() {
    let (a, b) = pairs();
    let near = |x: f64| (2.0f64.powi(-129)..2.0f64.powi(-123)).contains(&x.abs());
    let pairs = || {
        a.iter()
            .zip(&b)
            .map(|(a, b)| (f64::from(*a), f64::from(*b)))
    };
    let products = pairs().filter(|(a, b)| near(a * b)).count();
    let quotients = pairs().filter(|(a, b)| near(a / b)).count();
    assert!(
        products > a.len() / 20,
        "{products} products of {}",
        a.len()
    );
    assert!(
        quotients > a.len() / 20,
        "{quotients} quotients of {}",
        a.len()
    );
}

fn words(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn assert_same(
    function: &str,
    a: &[f32],
    b: &[f32],
    got: &[u32],
    expected: impl Fn(f32, f32) -> f32,
) {
    for i in 0..a.len() {
        let expected = expected(a[i], b[i]);
        let got = f32::from_bits(got[i]);
        let same = expected.to_bits() == got.to_bits() || expected.is_nan() && got.is_nan();
        assert!(
            same,
            "{function} of {:e} and {:e} is {got:e}, expected {expected:e}",
            a[i], b[i]
        );
    }
}

#[test]
fn sums_and_products() {
    let Some(session) = gpu() else { return };
    let (a, b) = pairs();
    let got = apply(
        session,
        "bitcast<u32>(mul_rn(x, y))",
        &words(&a),
        &words(&b),
    );
    assert_same("mul_rn", &a, &b, &got, exact::mul);
    let got = apply(
        session,
        "bitcast<u32>(add_rn(x, y))",
        &words(&a),
        &words(&b),
    );
    assert_same("add_rn", &a, &b, &got, exact::add);
    let got = apply(
        session,
        "bitcast<u32>(sub_rn(x, y))",
        &words(&a),
        &words(&b),
    );
    assert_same("sub_rn", &a, &b, &got, exact::sub);
}

#[test]
fn quotients() {
    let Some(session) = gpu() else { return };
    let (a, b) = pairs();
    let (a, b): (Vec<_>, Vec<_>) = a
        .into_iter()
        .zip(b)
        .filter(|(_, b)| *b != 0.0 && b.is_finite())
        .unzip();
    let got = apply(
        session,
        "bitcast<u32>(div_rn(x, y))",
        &words(&a),
        &words(&b),
    );
    assert_same("div_rn", &a, &b, &got, exact::div);
}

/// Every exponent with random digits, squares and their neighbours.
#[test]
fn square_roots() {
    let Some(session) = gpu() else { return };
    let mut random = Random::new(7);
    let mut values = vec![0.0, f32::MIN_POSITIVE, f32::MAX, 1.0, 2.0, 4.0];
    for exponent in 1..255u32 {
        for _ in 0..1000 {
            values.push(f32::from_bits(random.word() & 0x7f_ffff | exponent << 23));
        }
    }
    for root in 1..20_000u32 {
        let square = (root * root) as f32;
        values.extend([square, square.next_up(), square.next_down().max(1.0)]);
    }
    let got = apply(
        session,
        "bitcast<u32>(sqrt_rn(x))",
        &words(&values),
        &words(&values),
    );
    assert_same("sqrt_rn", &values, &values, &got, |x, _| exact::sqrt(x));
}

#[test]
fn squares_integers_and_codes() {
    let Some(session) = gpu() else { return };
    let (a, b) = pairs();
    let finite = |(a, b): &(f32, f32)| a.abs() < 2.0f32.powi(63) && b.is_finite();
    let (a, b): (Vec<_>, Vec<_>) = a.into_iter().zip(b).filter(finite).unzip();
    let got = apply(session, "bitcast<u32>(squared(x))", &words(&a), &words(&b));
    assert_same("squared", &a, &b, &got, |x, _| exact::squared(x));

    // Ties of the rounding to 24 bits among them.
    let mut random = Random::new(8);
    let mut integers: Vec<u32> = (0..200_000).map(|_| random.word()).collect();
    integers.extend((0..32).flat_map(|bit| [1 << bit, (1 << bit) - 1, (1u32 << bit) + 1]));
    integers.extend((1..1000).map(|i| (1 << 25) + 2 * i));
    integers.push(u32::MAX);
    let got = apply(session, "bitcast<u32>(integer(a[i]))", &integers, &integers);
    for (integer, got) in integers.iter().zip(got) {
        assert_eq!(got, exact::integer(*integer).to_bits(), "{integer}");
    }

    // Steps at and beside every half.
    let steps: Vec<f32> = (-8..600)
        .map(|half| half as f32 / 2.0)
        .flat_map(|x| [x, x.next_up(), x.next_down()])
        .collect();
    let function = "bitcast<u32>(code_of(x, 0.0, 1.0, 255.0))";
    let got = apply(session, function, &words(&steps), &words(&steps));
    for (steps, got) in steps.iter().zip(got) {
        let expected = steps.round_ties_even().clamp(0.0, 255.0);
        assert_eq!(f32::from_bits(got), expected, "{steps}");
    }
}

/// Products of a code and a normal scale: the cheap form that lookups use.
#[test]
fn values_of_codes() {
    let Some(session) = gpu() else { return };
    let (scale, bias) = pairs();
    for code in [0u32, 1, 3, 255] {
        // Not a literal: drivers may fold a product with a literal zero, infinities included.
        let function = format!("bitcast<u32>(affine(x, f32({code}u ^ table.zero), y))");
        let got = apply(session, &function, &words(&scale), &words(&bias));
        let expected = |scale, bias| exact::add(exact::mul(scale, code as f32), bias);
        assert_same("affine", &scale, &bias, &got, expected);
    }
}

/// The same of symmetric rows, whose codes have signs.
#[test]
fn values_of_signed_codes() {
    let Some(session) = gpu() else { return };
    let (step, other) = pairs();
    for code in [0, 1, -1, 127, -128] {
        let function = format!("bitcast<u32>(symmetric(x, f32({code} + i32(table.zero))))");
        let got = apply(session, &function, &words(&step), &words(&other));
        let expected = |step, _| exact::mul(step, code as f32);
        assert_same("symmetric", &step, &other, &got, expected);
    }
}

/// Codes of values in steps: those of pairs, and multiples of half a step, where a reciprocal would do
/// wrong.
#[test]
fn signed_codes() {
    let Some(session) = gpu() else { return };
    let (mut x, mut step) = pairs();
    for odd in (1..128).step_by(2) {
        let halves = -300..300;
        x.extend(halves.clone().map(|half| half as f32 * odd as f32 / 2.0));
        step.extend(halves.map(|_| odd as f32));
    }
    let divisible = |(x, step): &(f32, f32)| {
        x.is_finite() && step.is_normal() && *step > 0.0 && exact::div(*x, *step).is_finite()
    };
    let (x, step): (Vec<_>, Vec<_>) = x.into_iter().zip(step).filter(divisible).unzip();
    let function = "bitcast<u32>(i32(signed_code_of(x, y, -128.0, 127.0)))";
    let got = apply(session, function, &words(&x), &words(&step));
    for ((x, step), got) in x.iter().zip(&step).zip(got) {
        let expected = signed_code(*x, *step, Bits::B8);
        assert_eq!(got as i32, expected, "{x:e} in steps of {step:e}");
    }
}

#[test]
fn every_f16_and_every_rounding_to_one() {
    let Some(session) = gpu() else { return };
    let halves: Vec<u32> = (0..0x1_0000).collect();
    let got = apply(session, "bitcast<u32>(f16_to_f32(a[i]))", &halves, &halves);
    for (half, got) in halves.iter().zip(&got) {
        let expected = f16::from_bits(*half as u16).to_f32();
        let got = f32::from_bits(*got);
        let same = expected.to_bits() == got.to_bits() || expected.is_nan() && got.is_nan();
        assert!(same, "f16 {half:#x} became {got:e}, expected {expected:e}");
    }

    // The middle between every two neighbours, and the floats on both sides of it.
    let mut values = vec![f32::NAN, f32::INFINITY, f32::MAX, 0.0, f32::MIN_POSITIVE];
    for half in 0..0x7c00u16 {
        let low = f64::from(f16::from_bits(half).to_f32());
        let high = match half {
            0x7bff => 65536.0,
            _ => f64::from(f16::from_bits(half + 1).to_f32()),
        };
        let middle = ((low + high) / 2.0) as f32;
        values.extend([low as f32, middle.next_down(), middle, middle.next_up()]);
    }
    let negative: Vec<_> = values.iter().map(|x| -x).collect();
    values.extend(negative);
    let got = apply(session, "f32_to_f16(x)", &words(&values), &words(&values));
    for (value, got) in values.iter().zip(&got) {
        let expected = f16::from_f32(*value);
        let same = u32::from(expected.to_bits()) == *got
            || expected.is_nan() && f16::from_bits(*got as u16).is_nan();
        assert!(
            same,
            "{value:e} became {got:#x}, expected {:#x}",
            expected.to_bits()
        );
    }
}

/// Every bf16, and every float whose last bits lie at or beside what decides how it is rounded to one.
#[test]
fn every_bf16_and_every_rounding_to_one() {
    let Some(session) = gpu() else { return };
    let halves: Vec<u32> = (0..0x1_0000).collect();
    let function = "bitcast<u32>(bf16_to_f32(a[i]))";
    let got = apply(session, function, &halves, &halves);
    for (half, got) in halves.iter().zip(&got) {
        let expected = exact::input(f32::from_bits(half << 16));
        let got = f32::from_bits(*got);
        let same = expected.to_bits() == got.to_bits() || expected.is_nan() && got.is_nan();
        assert!(same, "bf16 {half:#x} became {got:e}, expected {expected:e}");
    }
    let finite = halves.iter().filter(|half| **half & 0x7f80 != 0x7f80);
    let values: Vec<u32> = finite
        .flat_map(|half| [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff].map(|rest| half << 16 | rest))
        .collect();
    let got = apply(session, "f32_to_bf16(a[i])", &values, &values);
    for (value, got) in values.iter().zip(got) {
        let expected = half::bf16::from_f32(f32::from_bits(*value)).to_bits();
        assert_eq!(got, u32::from(expected), "{value:#x}");
    }
}

/// The integer image orders as `total_cmp` does, NaN above all, and goes back.
#[test]
fn the_integer_image_orders_floats() {
    let Some(session) = gpu() else { return };
    let (mut values, _) = pairs();
    values.truncate(20_000);
    values.extend([-0.0, f32::NAN, -f32::NAN, f32::MIN_POSITIVE, -1e-40]);
    let keys = apply(session, "ordered(a[i])", &words(&values), &words(&values));
    let back = apply(session, "bitcast<u32>(unordered(a[i]))", &keys, &keys);
    let plain = |x: f32| if x.is_nan() { f32::NAN } else { x };
    for (value, back) in values.iter().zip(&back) {
        assert_eq!(plain(*value).to_bits(), *back);
    }
    let mut order: Vec<_> = (0..values.len()).collect();
    order.sort_by_key(|&i| keys[i]);
    let sorted = order.windows(2).all(|pair| {
        let (a, b) = (plain(values[pair[0]]), plain(values[pair[1]]));
        a.total_cmp(&b).is_le()
    });
    assert!(sorted);
}

/// `kat_vectors` of Random123, then many counters against the host's generator, which has the same answers.
#[test]
fn philox_gives_its_published_answers() {
    let Some(session) = gpu() else { return };
    let mut random = Random::new(123);
    let mut counters: Vec<[u32; 4]> = vec![
        [0; 4],
        [u32::MAX; 4],
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
    ];
    let mut keys = vec![[0; 4], [u32::MAX; 4], [0xa409_3822, 0x299f_31d0, 0, 0]];
    for _ in 0..20_000 {
        counters.push(std::array::from_fn(|_| random.word()));
        keys.push(std::array::from_fn(|_| random.word()));
    }
    let function = "philox4x32_10(
        vec4<u32>(a[i / 4u * 4u], a[i / 4u * 4u + 1u], a[i / 4u * 4u + 2u], a[i / 4u * 4u + 3u]),
        vec2<u32>(b[i / 4u * 4u], b[i / 4u * 4u + 1u]),
    )[i % 4u]";
    let got = apply(
        session,
        function,
        counters.as_flattened(),
        keys.as_flattened(),
    );
    let published = [
        [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
    ];
    assert_eq!(&got[..12], published.as_flattened());
    for ((counter, key), got) in counters.iter().zip(&keys).zip(got.chunks(4)) {
        let expected = qembed::philox::philox4x32_10(*counter, [key[0], key[1]]);
        assert_eq!(got, expected, "{counter:x?} {key:x?}");
    }
}
