//! scratch: times whole-module WGSL files of the 4-bit sum lookup against each other.
use qembed::verify::shapes::Random;
use qembed::wgpu::{self, util::DeviceExt};
use qembed::{Bits, Format, Method, PackedTable, Pooling, Session, reference};
use std::time::Instant;
fn main() {
    let mut args = std::env::args().skip(1);
    let dim: usize = args.next().unwrap().parse().unwrap();
    let rows: usize = args.next().unwrap().parse().unwrap();
    let bags: u32 = args.next().unwrap().parse().unwrap();
    let length: u32 = args.next().unwrap().parse().unwrap();
    let files: Vec<(String, u32)> = args
        .map(|a| {
            let (f, c) = a.split_once(':').unwrap();
            (f.into(), c.parse().unwrap())
        })
        .collect();
    let session = Session::new().unwrap();
    eprintln!("{}", session.adapter().name);
    let format = Format::affine(Bits::B4);
    let mut random = Random::new(1);
    let row_words = format.row_words(dim as u32) as usize;
    let mut words: Vec<u32> = (0..rows * row_words)
        .map(|_| random.below(u32::MAX))
        .collect();
    for row in words.chunks_exact_mut(row_words) {
        row[0] = (row[0] & 0x83ff_83ff) | 0x2400_2400;
    }
    let packed = PackedTable::from_words(format, dim, words).unwrap();
    let _ = Method::Asym;
    let indices: Vec<u32> = (0..bags * length)
        .map(|_| random.below(rows as u32))
        .collect();
    let offsets: Vec<u32> = (0..=bags).map(|b| b * length).collect();
    let sample = 64.min(bags as usize);
    let expected = reference::lookup(
        &packed,
        reference::LookupArgs {
            pooling: Pooling::Sum,
            indices: &indices,
            offsets: Some(&offsets[..=sample]),
            weights: None,
        },
    )
    .unwrap();
    let device = session.device();
    let buf = |bytes: &[u8], usage| {
        device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: None,
            contents: bytes,
            usage: usage | wgpu::BufferUsages::COPY_SRC,
        })
    };
    let words = |w: &[u32]| w.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let st = wgpu::BufferUsages::STORAGE;
    let uniform = buf(
        &words(&[rows as u32, dim as u32, row_words as u32, 0, 0, 0]),
        wgpu::BufferUsages::UNIFORM,
    );
    let counts = buf(&words(&[bags, indices.len() as u32]), st);
    let table = buf(packed.bytes(), st);
    let ib = buf(&words(&indices), st);
    let ob = buf(&words(&offsets), st);
    let wb = buf(&[0; 16], st);
    let out = buf(
        &vec![0; 4 * bags as usize * dim],
        st | wgpu::BufferUsages::COPY_DST,
    );
    let status = buf(&words(&[0, u32::MAX, 0, u32::MAX]), st);
    let mut cases = vec![];
    for (file, cols) in &files {
        let source = std::fs::read_to_string(file).unwrap();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(source.as_str().into()),
        });
        let mut constants = vec![];
        for (n, v) in [
            ("BITS", 4.0),
            ("HEADER_WORDS", 1.0),
            ("WORKGROUP", 64.0),
            ("OUTPUT_F16", 0.0),
            ("WEIGHTED", 0.0),
            ("MEAN", 0.0),
            ("COLUMNS", *cols as f64),
        ] {
            if source.contains(&format!("override {n}")) {
                constants.push((n, v));
            }
        }
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("lookup"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let all = [
            (0, &uniform),
            (1, &counts),
            (2, &table),
            (3, &ib),
            (4, &ob),
            (5, &wb),
            (6, &out),
            (7, &status),
        ];
        let entries: Vec<_> = all
            .iter()
            .filter(|(n, _)| source.contains(&format!("@binding({n})")))
            .map(|(n, b)| wgpu::BindGroupEntry {
                binding: *n,
                resource: b.as_entire_binding(),
            })
            .collect();
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let lanes = bags as u64 * (dim as u64).div_ceil(*cols as u64);
        let groups = lanes.div_ceil(64);
        cases.push((file.clone(), *cols, pipeline, group, groups as u32, vec![]));
    }
    let run =
        |pipeline: &wgpu::ComputePipeline, group: &wgpu::BindGroup, groups: u32, reps: u32| {
            let mut enc = device.create_command_encoder(&Default::default());
            {
                let mut pass = enc.begin_compute_pass(&Default::default());
                for _ in 0..reps {
                    pass.set_pipeline(pipeline);
                    pass.set_bind_group(0, group, &[]);
                    pass.dispatch_workgroups(groups, 1, 1);
                }
            }
            let start = Instant::now();
            session.queue().submit([enc.finish()]);
            session.wait().unwrap();
            start.elapsed().as_secs_f64() / reps as f64
        };
    for (file, cols, p, g, n, _) in &cases {
        let mut enc = device.create_command_encoder(&Default::default());
        enc.clear_buffer(&out, 0, None);
        session.queue().submit([enc.finish()]);
        run(p, g, *n, 1);
        let staging = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 4 * (sample * dim) as u64,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut enc = device.create_command_encoder(&Default::default());
        enc.copy_buffer_to_buffer(&out, 0, &staging, 0, 4 * (sample * dim) as u64);
        session.queue().submit([enc.finish()]);
        staging.slice(..).map_async(wgpu::MapMode::Read, |_| ());
        session.wait().unwrap();
        let m = staging.slice(..).get_mapped_range().unwrap();
        let got: Vec<f32> = m
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        let mut worst = 0.0f64;
        for (i, x) in got.iter().enumerate() {
            worst = worst.max(
                (f64::from(*x) - expected.output[i]).abs() / expected.bound(i, qembed::Output::F32),
            );
        }
        if worst > 1.0 {
            println!("WRONG {file} {cols}: {worst}");
        }
    }
    let rounds: usize = std::env::var("ROUNDS")
        .ok()
        .map_or(11, |r| r.parse().unwrap());
    for _ in 0..rounds {
        for (_, _, p, g, n, t) in &mut cases {
            t.push(run(p, g, *n, 1));
        }
    }
    for (file, cols, _, _, _, t) in &mut cases {
        t.sort_by(f64::total_cmp);
        println!(
            "{:40} cols {:3} median {:8.3} ms min {:8.3} ms",
            file.rsplit('/').next().unwrap(),
            cols,
            1e3 * t[t.len() / 2],
            1e3 * t[0]
        );
    }
}
