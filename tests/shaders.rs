//! Ring 2: every shader variant through naga, and tint where it is installed. No GPU.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::mem::offset_of;
use std::process::{Command, Stdio};

use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{
    AddressSpace, BinaryOperator, Expression, MathFunction, Module, ScalarKind, ShaderStage,
};
use qembed::shader::{
    self, Access, BatchedUniform, CapacityUniform, CountsWords, FeatureWords, IndexType,
    LookupPlan, PreparedWords, Promise, RowRangeUniform, ShardUniform, SortUniform, TableUniform,
    Variant, WorkUniform,
};
use qembed::{Bits, Float, Format, Params, Pooling};

/// Parses, validates with no capability at all, and resolves the overrides.
fn try_resolve(variant: &Variant) -> Result<(Module, ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(variant.source)
        .map_err(|error| error.emit_to_string(variant.source))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .map_err(|error| format!("{}: {error:?}", variant.label))?;
    let constants = variant
        .constants
        .iter()
        .map(|(name, value)| (name.to_string(), *value));
    let constants = constants.collect();
    let entry = Some((ShaderStage::Compute, variant.entry_point));
    let resolved =
        naga::back::pipeline_constants::process_overrides(&module, &info, entry, &constants);
    let (module, info) = resolved.map_err(|error| format!("{}: {error}", variant.label))?;
    Ok((module.into_owned(), info.into_owned()))
}

fn resolve(variant: &Variant) -> (Module, ModuleInfo) {
    try_resolve(variant).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_variant_becomes_spirv_msl_and_hlsl() {
    for variant in shader::all() {
        let (module, info) = resolve(&variant);
        let label = &variant.label;
        let entry_point = variant.entry_point.to_string();

        let pipeline = spv::PipelineOptions {
            shader_stage: ShaderStage::Compute,
            entry_point: entry_point.clone(),
        };
        let words = spv::write_vec(&module, &info, &spv::Options::default(), Some(&pipeline));
        assert!(
            !words
                .unwrap_or_else(|error| panic!("{label}: {error}"))
                .is_empty()
        );

        let pipeline = msl::PipelineOptions {
            entry_point: Some((ShaderStage::Compute, entry_point.clone())),
            ..Default::default()
        };
        let options = msl::Options {
            lang_version: (2, 0),
            ..Default::default()
        };
        msl::write_string(&module, &info, &options, &pipeline)
            .unwrap_or_else(|error| panic!("{label}: {error}"));

        let mut text = String::new();
        let pipeline = hlsl::PipelineOptions {
            entry_point: Some((ShaderStage::Compute, entry_point)),
        };
        hlsl::Writer::new(&mut text, &hlsl::Options::default(), &pipeline)
            .write(&module, &info, None)
            .unwrap_or_else(|error| panic!("{label}: {error}"));
    }
}

/// naga accepts things that browsers refuse, barriers in non-uniform control flow among them.
#[test]
fn every_variant_passes_tint() {
    if Command::new("tint").arg("--help").output().is_err() {
        // Not `eprintln!`, which libtest hides where the test passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no tint");
        return;
    }
    let mut count = 0;
    for variant in shader::all() {
        let mut file = tempfile::Builder::new().suffix(".wgsl").tempfile().unwrap();
        file.write_all(variant.source.as_bytes()).unwrap();
        let overrides: Vec<_> = variant
            .constants
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut command = Command::new("tint");
        command.args(["--format=wgsl", "-ep", variant.entry_point]);
        if !overrides.is_empty() {
            command.args(["--overrides", &overrides.join(",")]);
        }
        let output = command
            .arg(file.path())
            .stdout(Stdio::null())
            .output()
            .unwrap();
        let messages = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {messages}", variant.label);
        count += 1;
    }
    println!("{count} variants passed tint");
}

#[test]
fn every_override_is_set_and_none_has_a_default() {
    for variant in shader::all() {
        let module = naga::front::wgsl::parse_str(variant.source).unwrap();
        let declared: BTreeSet<_> = module
            .overrides
            .iter()
            .map(|(_, declared)| {
                assert!(declared.init.is_none(), "{:?} has a default", declared.name);
                declared.name.clone().unwrap()
            })
            .collect();
        let given = variant
            .constants
            .iter()
            .map(|(name, _)| name.to_string())
            .collect();
        assert_eq!(declared, given, "{}", variant.label);
    }
}

#[test]
fn a_missing_override_is_an_error() {
    let mut variant = shader::all().next().unwrap();
    variant.constants.pop();
    let error = try_resolve(&variant).unwrap_err();
    assert!(error.contains("WEIGHTED"), "{error}");
}

#[test]
fn bindings_are_those_that_the_entry_point_reaches() {
    for variant in shader::all() {
        let (module, info) = resolve(&variant);
        let reached = info.get_entry_point(entry_point(&module, &variant));
        let mut found = BTreeMap::new();
        for (handle, variable) in module.global_variables.iter() {
            let Some(binding) = &variable.binding else {
                continue;
            };
            if reached[handle].is_empty() {
                continue;
            }
            assert_eq!(binding.group, 0);
            let access = match variable.space {
                AddressSpace::Uniform => Access::Uniform,
                AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
                    Access::ReadWrite
                }
                AddressSpace::Storage { .. } => Access::Read,
                other => panic!("{other:?}"),
            };
            found.insert(binding.binding, (variable.name.clone().unwrap(), access));
        }
        let declared = variant
            .bindings
            .iter()
            .map(|binding| (binding.number, (binding.name.to_string(), binding.access)))
            .collect();
        assert_eq!(found, declared, "{}", variant.label);
        let storage = variant
            .bindings
            .iter()
            .filter(|b| b.access != Access::Uniform)
            .count();
        assert!(
            storage <= 8,
            "{} has {storage} storage buffers",
            variant.label
        );
    }
}

fn entry_point(module: &Module, variant: &Variant) -> usize {
    module
        .entry_points
        .iter()
        .position(|entry| entry.name == variant.entry_point)
        .unwrap()
}

/// Names and offsets of a struct's members.
type Members<'a> = &'a [(&'a str, usize)];

/// Every struct that host and shader share: names, offsets, size.
#[test]
fn structs_are_laid_out_as_in_rust() {
    let table = [
        ("rows", offset_of!(TableUniform, rows)),
        ("dim", offset_of!(TableUniform, dim)),
        ("row_words", offset_of!(TableUniform, row_words)),
        ("zero", offset_of!(TableUniform, zero)),
        ("blocks", offset_of!(TableUniform, blocks)),
        ("id_bits", offset_of!(TableUniform, id_bits)),
    ];
    let counts = [
        ("bags", offset_of!(CountsWords, bags)),
        ("indices", offset_of!(CountsWords, indices)),
    ];
    let range = [
        ("first_row", offset_of!(RowRangeUniform, first_row)),
        ("rows", offset_of!(RowRangeUniform, rows)),
        ("shard_row", offset_of!(RowRangeUniform, shard_row)),
        ("values_row", offset_of!(RowRangeUniform, values_row)),
    ];
    let shard = [
        ("first_row", offset_of!(ShardUniform, first_row)),
        ("rows", offset_of!(ShardUniform, rows)),
    ];
    let work = [
        ("first_row", offset_of!(WorkUniform, first_row)),
        ("rows", offset_of!(WorkUniform, rows)),
        ("shard_row", offset_of!(WorkUniform, shard_row)),
        ("values_row", offset_of!(WorkUniform, values_row)),
        ("most_steps", offset_of!(WorkUniform, most_steps)),
        ("iterations", offset_of!(WorkUniform, iterations)),
        ("bins", offset_of!(WorkUniform, bins)),
        ("kept", offset_of!(WorkUniform, kept)),
    ];
    let capacity = [
        ("bags", offset_of!(CapacityUniform, bags)),
        ("indices", offset_of!(CapacityUniform, indices)),
        (
            "lanes_per_two_rows",
            offset_of!(CapacityUniform, lanes_per_two_rows),
        ),
        ("gather", offset_of!(CapacityUniform, gather)),
        ("workgroup", offset_of!(CapacityUniform, workgroup)),
    ];
    let groups = offset_of!(PreparedWords, groups);
    let prepared = [
        ("counts", offset_of!(PreparedWords, counts)),
        ("groups_x", groups),
        ("groups_y", groups + 4),
        ("groups_z", groups + 8),
    ];
    let lookup_status = [
        ("bad_indices", offset_of!(qembed::LookupStatus, bad_indices)),
        (
            "first_position",
            offset_of!(qembed::LookupStatus, first_position),
        ),
        ("bad_bags", offset_of!(qembed::LookupStatus, bad_bags)),
        ("first_bag", offset_of!(qembed::LookupStatus, first_bag)),
    ];
    let quantize_status = [
        ("not_finite", offset_of!(qembed::QuantizeStatus, not_finite)),
        (
            "first_not_finite",
            offset_of!(qembed::QuantizeStatus, first_not_finite),
        ),
        (
            "out_of_range",
            offset_of!(qembed::QuantizeStatus, out_of_range),
        ),
        (
            "first_out_of_range",
            offset_of!(qembed::QuantizeStatus, first_out_of_range),
        ),
        ("unfinished", offset_of!(qembed::QuantizeStatus, unfinished)),
        (
            "first_unfinished",
            offset_of!(qembed::QuantizeStatus, first_unfinished),
        ),
    ];
    let expected: [(&str, &str, usize, Members<'_>); 11] = [
        ("lookup", "Table", size_of::<TableUniform>(), &table),
        ("lookup", "Counts", size_of::<CountsWords>(), &counts),
        (
            "lookup",
            "Status",
            size_of::<qembed::LookupStatus>(),
            &lookup_status,
        ),
        (
            "dequantize",
            "RowRange",
            size_of::<RowRangeUniform>(),
            &range,
        ),
        ("collect", "Table", size_of::<TableUniform>(), &table),
        ("collect", "Counts", size_of::<CountsWords>(), &counts),
        ("collect", "Shard", size_of::<ShardUniform>(), &shard),
        ("quantize", "Work", size_of::<WorkUniform>(), &work),
        (
            "quantize",
            "Status",
            size_of::<qembed::QuantizeStatus>(),
            &quantize_status,
        ),
        (
            "prepare",
            "Capacity",
            size_of::<CapacityUniform>(),
            &capacity,
        ),
        ("prepare", "Prepared", size_of::<PreparedWords>(), &prepared),
    ];
    for (kernel, name, size, members) in expected {
        for variant in shader::all().filter(|variant| variant.entry_point == kernel) {
            assert_struct(&variant, name, size, members);
        }
    }
    assert_batched_structs();
    let sort = [
        ("count", offset_of!(SortUniform, count)),
        ("rows", offset_of!(SortUniform, rows)),
        ("tiles", offset_of!(SortUniform, tiles)),
        ("shift", offset_of!(SortUniform, shift)),
    ];
    for variant in sort_kernels() {
        assert_struct(&variant, "Sort", size_of::<SortUniform>(), &sort);
    }
}

fn assert_batched_structs() {
    let batch = [
        ("features", offset_of!(BatchedUniform, features)),
        ("bags", offset_of!(BatchedUniform, bags)),
        ("indices", offset_of!(BatchedUniform, indices)),
        ("offset_bags", offset_of!(BatchedUniform, offset_bags)),
    ];
    let feature = [
        ("rows", offset_of!(FeatureWords, rows)),
        ("dim", offset_of!(FeatureWords, dim)),
        ("row_words", offset_of!(FeatureWords, row_words)),
        ("zero", offset_of!(FeatureWords, zero)),
        ("blocks", offset_of!(FeatureWords, blocks)),
        ("id_bits", offset_of!(FeatureWords, id_bits)),
        ("first_word", offset_of!(FeatureWords, first_word)),
        ("first_codebook", offset_of!(FeatureWords, first_codebook)),
        ("first_remap", offset_of!(FeatureWords, first_remap)),
        ("remap_len", offset_of!(FeatureWords, remap_len)),
        ("kind", offset_of!(FeatureWords, kind)),
        ("bits", offset_of!(FeatureWords, bits)),
        ("header_words", offset_of!(FeatureWords, header_words)),
        ("is_half", offset_of!(FeatureWords, is_half)),
        ("pooling", offset_of!(FeatureWords, pooling)),
        ("tile", offset_of!(FeatureWords, tile)),
        ("first_group", offset_of!(FeatureWords, first_group)),
        ("output_first", offset_of!(FeatureWords, output_first)),
        ("output_stride", offset_of!(FeatureWords, output_stride)),
        ("is_rare", offset_of!(FeatureWords, is_rare)),
    ];
    for variant in shader::all().filter(|variant| variant.entry_point == "batched") {
        assert_struct(&variant, "Batch", size_of::<BatchedUniform>(), &batch);
        assert_struct(&variant, "Feature", size_of::<FeatureWords>(), &feature);
        // What a word of a feature means is the same on both sides.
        for (format, kind) in [
            (
                Format::Symmetric {
                    bits: Bits::B4,
                    params: Params::F16,
                },
                "KIND_SYMMETRIC",
            ),
            (Format::Codebook { bits: Bits::B4 }, "KIND_CODEBOOK"),
            (Format::Blocks { bits: Bits::B4 }, "KIND_BLOCKS"),
            (Format::Float(Float::F32), "KIND_FLOAT"),
        ] {
            let words = FeatureWords::of(format, 1, Pooling::Sum);
            assert_constant(&variant, kind, words.kind);
        }
        for (pooling, name) in [
            (Pooling::Mean, "POOLING_MEAN"),
            (Pooling::Max, "POOLING_MAX"),
        ] {
            let words = FeatureWords::of(Format::affine(Bits::B4), 1, pooling);
            assert_constant(&variant, name, words.pooling);
        }
    }
}

fn assert_struct(variant: &Variant, name: &str, size: usize, expected: Members<'_>) {
    let module = naga::front::wgsl::parse_str(variant.source).unwrap();
    let (_, found) = module
        .types
        .iter()
        .find(|(_, found)| found.name.as_deref() == Some(name))
        .unwrap_or_else(|| panic!("{} has no struct {name}", variant.label));
    let naga::TypeInner::Struct { members, span } = &found.inner else {
        panic!("{name} is no struct");
    };
    let members: Vec<_> = members
        .iter()
        .map(|member| (member.name.as_deref().unwrap(), member.offset as usize))
        .collect();
    assert_eq!(members, expected, "{name} in {}", variant.label);
    assert_eq!(*span as usize, size, "{name} in {}", variant.label);
}

/// Asserts that a constant of a module is the host's.
fn assert_constant(variant: &Variant, name: &str, expected: u32) {
    let module = naga::front::wgsl::parse_str(variant.source).unwrap();
    let (_, constant) = module
        .constants
        .iter()
        .find(|(_, constant)| constant.name.as_deref() == Some(name))
        .unwrap_or_else(|| panic!("{} has no {name}", variant.label));
    let literal = &module.global_expressions[constant.init];
    let expected = Expression::Literal(naga::Literal::U32(expected));
    let found = format!("{literal:?}");
    assert_eq!(
        found,
        format!("{expected:?}"),
        "{name} in {}",
        variant.label
    );
}

/// The grid folds at one width on both sides.
#[test]
fn the_grid_width_is_that_of_the_host() {
    for variant in shader::all() {
        assert_constant(&variant, "GRID_WIDTH", shader::GRID_WIDTH);
    }
}

/// A lane copies as many words on both sides.
#[test]
fn the_words_of_a_lane_that_collects_are_those_of_the_host() {
    let kernels = shader::all().filter(|variant| variant.entry_point == "collect");
    let kernels: Vec<_> = kernels.collect();
    // Rows that are copied as they are and blocks of three widths, by both types of indices.
    assert_eq!(kernels.len(), 8);
    for variant in kernels {
        assert_constant(&variant, "LANE_WORDS", shader::COLLECT_LANE_WORDS);
    }
}

/// A sort has one digit and one tile on both sides.
#[test]
fn digits_and_tiles_are_those_of_the_host() {
    for variant in sort_kernels() {
        assert_constant(&variant, "DIGITS", shader::SORT_WORKGROUP);
        assert_constant(&variant, "TILE", shader::SORT_TILE);
    }
}

fn sort_kernels() -> impl Iterator<Item = Variant> {
    shader::all().filter(|variant| variant.label.starts_with("sort."))
}

/// What a variant that promises bits may not contain, wherever its entry point reaches.
///
/// Outside `exact.wgsl`: any float arithmetic. Inside: a float division, a float sum one of whose
/// terms did not come out of `opaque` (but for the bias in `affine`).
/// Anywhere: fma, sqrt, exp, pack2x16float and their like.
fn violations(module: &Module, info: &ModuleInfo, entry: usize) -> Vec<String> {
    let exact: BTreeSet<_> = shader::EXACT
        .lines()
        .filter_map(|line| line.strip_prefix("fn ")?.split('(').next())
        .collect();
    assert!(exact.contains("opaque"));
    let mut found = vec![];
    let function = &module.entry_points[entry].function;
    check_function(
        module,
        info.get_entry_point(entry),
        function,
        false,
        &mut found,
    );
    for (handle, function) in module.functions.iter() {
        // process_overrides keeps only what the entry point reaches.
        let is_exact = function
            .name
            .as_deref()
            .is_some_and(|name| exact.contains(name));
        check_function(module, &info[handle], function, is_exact, &mut found);
    }
    found
}

fn check_function(
    module: &Module,
    info: &naga::valid::FunctionInfo,
    function: &naga::Function,
    is_exact: bool,
    found: &mut Vec<String>,
) {
    let name = function.name.as_deref().unwrap_or("the entry point");
    let is_float = |handle: naga::Handle<Expression>| {
        let inner = info[handle].ty.inner_with(&module.types);
        inner.scalar_kind() == Some(ScalarKind::Float)
    };
    let is_opaque = |handle: naga::Handle<Expression>| match function.expressions[handle] {
        Expression::CallResult(called) => {
            module.functions[called].name.as_deref() == Some("opaque")
        }
        _ => false,
    };
    for (_, expression) in function.expressions.iter() {
        match *expression {
            Expression::Binary { op, left, right } if is_float(left) => match op {
                BinaryOperator::Divide | BinaryOperator::Modulo => {
                    found.push(format!("{name}: a float division"));
                }
                BinaryOperator::Multiply if !is_exact => {
                    found.push(format!("{name}: a float product outside exact.wgsl"));
                }
                BinaryOperator::Add | BinaryOperator::Subtract if !is_exact => {
                    found.push(format!("{name}: a float sum outside exact.wgsl"));
                }
                BinaryOperator::Add | BinaryOperator::Subtract => {
                    // The bias of `affine` is no product: it comes out of a row's header.
                    let is_bias = |h| {
                        let argument =
                            matches!(function.expressions[h], Expression::FunctionArgument(2));
                        name == "affine" && argument
                    };
                    let safe = is_opaque(left) && (is_opaque(right) || is_bias(right));
                    if !safe {
                        found.push(format!("{name}: a float sum of what is not opaque"));
                    }
                }
                _ => {}
            },
            Expression::Math { fun, arg, .. } => {
                let allowed = match fun {
                    MathFunction::Pack2x16float | MathFunction::Unpack2x16float => false,
                    MathFunction::Round
                    | MathFunction::Floor
                    | MathFunction::Clamp
                    | MathFunction::Abs => true,
                    _ => !is_float(arg),
                };
                if !allowed {
                    found.push(format!("{name}: {fun:?}"));
                }
            }
            _ => {}
        }
    }
}

#[test]
fn variants_that_promise_bits_do_their_arithmetic_in_exact() {
    let mut count = 0;
    for variant in shader::all().filter(|variant| variant.promise == Promise::Bits) {
        let (module, info) = resolve(&variant);
        let entry = entry_point(&module, &variant);
        let found = violations(&module, &info, entry);
        assert!(found.is_empty(), "{}: {found:?}", variant.label);
        count += 1;
    }
    assert!(count > 80, "{count} variants");
}

/// The walker catches what it is there for, planted one at a time.
#[test]
fn planted_arithmetic_is_caught() {
    let gather = qembed::LookupSpec::all().nth(2).unwrap();
    assert_eq!(gather.label(), "lookup.q2h16.none.weighted.f32");
    let sound = shader::lookup(&gather, LookupPlan::Columns, IndexType::U32);
    for (original, planted, caught) in [
        ("return values;", "return values * 2.0;", "product"),
        ("return values;", "return values + 1.0;", "sum"),
        ("return values;", "return values / 3.0;", "division"),
        (
            "return values;",
            "return fma(values, values, values);",
            "Fma",
        ),
        ("return values;", "return sqrt(values);", "Sqrt"),
        (
            "flush(opaque(scale * code) + bias)",
            "flush(scale * code + bias)",
            "not opaque",
        ),
        (
            "flush(opaque(a) + opaque(b))",
            "flush(opaque(a) + b)",
            "not opaque",
        ),
        (
            "return sign | (kept +",
            "return pack2x16float(vec2<f32>(x, x)) | (kept +",
            "Pack2x16float",
        ),
    ] {
        let source = sound.source.replace(original, planted);
        assert_ne!(source, sound.source, "{original} is gone");
        let variant = Variant {
            source: source.leak(),
            ..sound.clone()
        };
        let module = naga::front::wgsl::parse_str(variant.source).unwrap();
        let info = Validator::new(ValidationFlags::all(), Capabilities::all())
            .validate(&module)
            .unwrap();
        let found = violations(&module, &info, entry_point(&module, &variant));
        assert!(
            found.iter().any(|found| found.contains(caught)),
            "{planted}: {found:?}"
        );
    }
}

/// A sum may do float arithmetic of its own: it promises a bound.
#[test]
fn the_walker_tells_bits_from_bounds() {
    let sum = qembed::LookupSpec::all()
        .find(|spec| spec.pooling == qembed::Pooling::Sum)
        .unwrap();
    let variant = shader::lookup(&sum, LookupPlan::Columns, IndexType::U32);
    assert_eq!(variant.promise, Promise::Bound);
    let (module, info) = resolve(&variant);
    assert!(!violations(&module, &info, entry_point(&module, &variant)).is_empty());
}
