//! Damaged and hostile checkpoints: each is refused with a message or can be resumed, and none causes a panic.
//! Checkpoints are data that anyone may have written.

use a3crs_core::env::{ActionSpec, Chain, Env, EnvError, EnvSpec, ObsSpec};
use a3crs_core::kernel::activation::Activation;
use a3crs_core::nn::{Net, NetSpec};
use a3crs_core::train::save::{FORMAT_VERSION, check, read_meta};
use a3crs_core::train::{Algo, Checkpoint, Setup, TrainConfig, TrainError, train};
use proptest::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use support::{Quiet, config};
use tempfile::TempDir;

mod support;

/// Sections of a checkpoint file.
#[derive(Clone)]
struct Parts {
    meta: Value,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
        let file = SafeTensors::deserialize(bytes).unwrap();
        let whole = |view: TensorView<'_>| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
        Parts {
            meta: serde_json::from_str(&header.metadata().as_ref().unwrap()["a3crs"]).unwrap(),
            tensors: file.tensors().into_iter().map(|(name, view)| (name, whole(view))).collect(),
        }
    }

    /// Returns the file with a correct checksum, as anyone could compute it.
    fn sealed(&self) -> Vec<u8> {
        let meta = self.meta.to_string();
        let mut sum = crc32fast::Hasher::new();
        sum.update(meta.as_bytes());
        let mut views = Vec::new();
        for (name, (dtype, shape, bytes)) in &self.tensors {
            sum.update(format!("\n{name} {dtype:?} {shape:?}\n").as_bytes());
            sum.update(bytes);
            views.push((name.clone(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
        }
        let sum = format!("{:08x}", sum.finalize());
        let metadata = HashMap::from([("a3crs".to_owned(), meta), ("a3crs.crc32".to_owned(), sum)]);
        safetensors::serialize(views, Some(metadata)).unwrap()
    }

    /// Turns the checkpoint into one of format 2, without actors and without a checksum that is read.
    fn of_format_2(mut self) -> Self {
        self.meta["format_version"] = json!(2);
        self.meta.as_object_mut().unwrap().remove("actors");
        self.tensors.retain(|name, _| ["actor", "window", "progress"].iter().all(|start| !name.starts_with(start)));
        self
    }
}

fn setup(total_steps: u64) -> Setup {
    let spec = EnvSpec::new(ObsSpec::Vector { len: 5 }, ActionSpec::Discrete(2));
    // A deterministic run gives every actor a turn.
    let config = TrainConfig { deterministic: true, ..config(Algo::OneStepSarsa, total_steps, 1e-3) };
    Setup::new(config, spec).unwrap()
}

fn chain(_actor: usize) -> Result<Box<dyn Env<usize>>, EnvError> {
    Ok(Box::new(Chain::new(5, 50)))
}

/// Writes a checkpoint of a short run; returns it with its directory, which has room for others.
fn checkpoint() -> (TempDir, Parts) {
    let dir = tempfile::tempdir().unwrap();
    let summary = train(&setup(100), chain, dir.path(), None, &Quiet).unwrap();
    let parts = Parts::of(&fs::read(&summary.checkpoint).unwrap());
    (dir, parts)
}

fn load(dir: &Path, bytes: &[u8]) -> Result<Checkpoint, TrainError> {
    let path = dir.join("odd.safetensors");
    fs::write(&path, bytes).unwrap();
    Checkpoint::load(&path, &setup(200))
}

/// Loads the checkpoint and resumes it where possible. Returns true if it was resumed.
fn is_gone_on_with(dir: &Path, bytes: &[u8], what: &str) -> bool {
    let sentence = match load(dir, bytes) {
        Err(error) => error.to_string(),
        Ok(_) => match train(&setup(200), chain, dir, Some(&dir.join("odd.safetensors")), &Quiet) {
            Ok(_) => return true,
            Err(TrainError::Panic { message, .. }) => panic!("{what}: {message}"),
            Err(error) => error.to_string(),
        },
    };
    assert!(!sentence.is_empty(), "{what}");
    false
}

/// Collects the paths of all values in a JSON value.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), all)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, value)| pointers(value, &format!("{at}/{i}"), all)),
        _ => (),
    }
}

#[test]
fn a_file_from_before_networks_had_settings_is_of_the_papers_network() {
    let (dir, mut parts) = checkpoint();
    for setting in ["hidden", "activation", "cells"] {
        assert!(parts.meta.as_object_mut().unwrap().remove(setting).is_some(), "{setting} is not in the file");
    }
    assert_eq!(load(dir.path(), &parts.sealed()).unwrap().meta.network, Net::Ff.into());
    assert!(is_gone_on_with(dir.path(), &parts.sealed(), "without the network's settings"));
}

#[test]
fn a_checkpoint_of_another_network_is_refused_with_the_setting_that_differs() {
    let (dir, parts) = checkpoint();
    let path = dir.path().join("other.safetensors");
    fs::write(&path, parts.sealed()).unwrap();
    let refused = |change: fn(&mut NetSpec)| {
        let Setup { mut config, env, .. } = setup(200);
        change(&mut config.network);
        check(&path, &Setup::new(config, env).unwrap()).unwrap_err().to_string()
    };
    for (sentence, of) in [
        ("it is of net ff, this run has lstm", refused(|network| network.net = Net::Lstm)),
        ("it is of hidden (the net's own), this run has 64,64", refused(|network| network.hidden = vec![64, 64])),
        ("it is of activation relu, this run has tanh", refused(|network| network.activation = Activation::Tanh)),
    ] {
        assert!(of.ends_with(sentence), "{of}");
    }
}

#[test]
fn whatever_its_numbers_are_a_checkpoint_is_refused_or_gone_on_with() {
    let (dir, parts) = checkpoint();
    assert!(is_gone_on_with(dir.path(), &parts.sealed(), "as it was"));
    let mut all = Vec::new();
    pointers(&parts.meta, "", &mut all);
    let odd = [json!(null), json!(-1), json!(0), json!(1u64 << 53), json!(u64::MAX), json!(1.5), json!(""), json!([])];
    let mut gone_on_with = 0;
    for (pointer, odd) in all.iter().flat_map(|pointer| odd.iter().map(move |odd| (pointer, odd))) {
        let mut parts = parts.clone();
        *parts.meta.pointer_mut(pointer).unwrap() = odd.clone();
        gone_on_with += usize::from(is_gone_on_with(dir.path(), &parts.sealed(), &format!("{pointer} is {odd}")));
    }
    assert!(all.len() > 40 && (1..all.len() * odd.len() / 2).contains(&gone_on_with), "{gone_on_with}");
    for actors in [0, 1, 3, 500] {
        let mut parts = parts.clone();
        let one = parts.meta["actors"][0].clone();
        parts.meta["actors"] = vec![one; actors].into();
        is_gone_on_with(dir.path(), &parts.sealed(), &format!("{actors} actors"));
    }
    for key in parts.meta.as_object().unwrap().keys() {
        let mut parts = parts.clone();
        parts.meta.as_object_mut().unwrap().remove(key);
        is_gone_on_with(dir.path(), &parts.sealed(), &format!("no {key}"));
    }
}

#[test]
fn whatever_its_tensors_are_a_checkpoint_is_refused_or_gone_on_with() {
    let (dir, parts) = checkpoint();
    for name in parts.tensors.keys() {
        let mut missing = parts.clone();
        let (dtype, shape, bytes) = missing.tensors.remove(name).unwrap();
        let is_optional = name.starts_with("g."); // a statistic of another optimizer, which starts at 0
        let gone_on_with = is_gone_on_with(dir.path(), &missing.sealed(), &format!("no {name}"));
        assert!(is_optional || !gone_on_with, "{name} is missing");

        let elements: usize = shape.iter().product();
        let mut odd = vec![(Dtype::U8, vec![bytes.len()], bytes.clone()), (dtype, vec![0], Vec::new())];
        odd.push((dtype, [&[1], &shape[..]].concat(), bytes.clone()));
        let size = bytes.len() / elements.max(1);
        if elements > 0 {
            odd.push((dtype, vec![elements + 1], [&bytes[..], &bytes[..size]].concat()));
            let everywhere = |value: &[u8]| (dtype, shape.clone(), value.repeat(elements));
            let floats = [f64::NAN, f64::INFINITY, -1.0, 0.5, 1e30];
            odd.extend(floats.map(|x| match dtype {
                Dtype::F32 => everywhere(&(x as f32).to_le_bytes()),
                Dtype::F64 => everywhere(&x.to_le_bytes()),
                _ => everywhere(&vec![255; size]),
            }));
        }
        for (dtype, shape, bytes) in odd {
            let what = format!("{name} is {dtype:?} {shape:?} {:?}", &bytes[..bytes.len().min(8)]);
            let mut parts = parts.clone();
            parts.tensors.insert(name.clone(), (dtype, shape, bytes));
            is_gone_on_with(dir.path(), &parts.sealed(), &what);
        }
    }
}

#[test]
fn what_no_run_can_have_written_is_refused_with_its_value() {
    let (dir, parts) = checkpoint();
    let refused = |change: &dyn Fn(&mut Parts), wanted: &str| {
        let mut parts = parts.clone();
        change(&mut parts);
        let error = load(dir.path(), &parts.sealed()).unwrap_err().to_string();
        assert!(error.contains("odd.safetensors") && error.contains(wanted), "{error}");
    };
    let actor = |field: &'static str, value: Value| {
        move |parts: &mut Parts| *parts.meta["actors"][1].pointer_mut(field).unwrap() = value.clone()
    };
    let moves = |action: f32| {
        let bytes = [1.0, action].map(f32::to_le_bytes).concat();
        move |parts: &mut Parts| {
            parts.tensors.insert("actor0.moves".into(), (Dtype::F32, vec![2, 1], bytes.clone()));
        }
    };
    refused(&|parts| parts.meta["steps"] = json!(u64::MAX), "counted to 18446744073709551615");
    refused(
        &|parts| parts.meta["format_version"] = json!(FORMAT_VERSION + 1),
        "has format 4, this a3crs reads up to 3",
    );
    refused(&actor("/ticket", json!(u64::MAX)), "its actor 1 has counted to 18446744073709551615");
    refused(&actor("/place/starts", json!(1_000_000)), "its actor 1 has begun 1000000 episodes in ");
    refused(&actor("/rng/s", json!([0, 0, 0, 0])), "its actor 1 has random numbers that are all 0");
    refused(&moves(2.0), "actor0.moves has an action [2.0], which does not exist");
    refused(&moves(-1.0), "an action [-1.0]");
    refused(&moves(f32::INFINITY), "an action [inf]");
    refused(
        &|parts| {
            parts.tensors.insert("actor1.carried".into(), (Dtype::F32, vec![1], 7f32.to_le_bytes().to_vec()));
        },
        "actor1.carried has an action [7.0], which does not exist",
    );
}

#[test]
fn a_header_cut_or_changed_anywhere_is_refused_or_makes_no_difference_to_shapes() {
    let (dir, parts) = checkpoint();
    for whole in [parts.clone().of_format_2().sealed(), parts.sealed()] {
        let theta = load(dir.path(), &whole).unwrap().parameters.theta.len();
        let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
        for len in 0..header + 4 {
            assert!(load(dir.path(), &whole[..len]).is_err(), "cut to {len}");
        }
        for (at, with) in (0..header).flat_map(|at| [b'"', b'9', b'{', 0, 255].map(|with| (at, with))) {
            let mut changed = whole.clone();
            changed[at] = with;
            assert!(
                load(dir.path(), &changed).map_or(theta, |loaded| loaded.parameters.theta.len()) == theta,
                "byte {at}"
            );
        }
        for claimed in [0, 1, header as u64, whole.len() as u64, 1 << 32, 1 << 62, u64::MAX] {
            let mut changed = whole.clone();
            changed[..8].copy_from_slice(&claimed.to_le_bytes());
            assert!(load(dir.path(), &changed).is_err(), "a header of {claimed} bytes");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// Moves, duplicates and removes parts of the file, in 200 files per case, because each case needs a run first.
    #[test]
    fn files_spliced_anyhow_are_refused_or_are_the_same_checkpoint(
        splices in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0usize..200, any::<bool>()), 200)
    ) {
        let (dir, parts) = checkpoint();
        for whole in [parts.clone().of_format_2().sealed(), parts.sealed()] {
            let theta = load(dir.path(), &whole).unwrap().parameters.theta.len();
            for (from, to, len, replaces) in &splices {
                let (from, to) = (from.index(whole.len()), to.index(whole.len()));
                let piece = &whole[from..(from + len).min(whole.len())];
                let rest = if *replaces { (to + piece.len()).min(whole.len()) } else { to };
                let spliced = [&whole[..to], piece, &whole[rest..]].concat();
                if let Ok(loaded) = load(dir.path(), &spliced) {
                    prop_assert_eq!(loaded.parameters.theta.len(), theta);
                    prop_assert!(loaded.parameters.theta.iter().all(|x| x.is_finite()));
                }
                let _ = read_meta(&dir.path().join("odd.safetensors"));
            }
        }
    }
}
