//! Runs: output files, stopping, refused settings and resuming.

use a3crs_core::env::{ActionSpec, Chain, End, Env, EnvError, EnvSpec, Episode, ObsMut, ObsSpec, Step};
use a3crs_core::shared::OptimizerKind;
use a3crs_core::train::config::TMax;
use a3crs_core::train::log::ProgressRow;
use a3crs_core::train::play::bench::bench;
use a3crs_core::train::save::{CheckpointDir, read_meta, restored};
use a3crs_core::train::{Algo, Checkpoint, Host, Setup, Shared, TrainConfig, TrainError, train};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use support::{Quiet, config};

mod support;

const SPEC: EnvSpec =
    EnvSpec { frames_per_step: 4, ..EnvSpec::new(ObsSpec::Vector { len: 5 }, ActionSpec::Discrete(2)) };

fn chain(_actor: usize) -> Result<Box<dyn Env<usize>>, EnvError> {
    Ok(Box::new(Chain::new(5, 50)))
}

fn setup(change: impl FnOnce(&mut TrainConfig)) -> Setup {
    let mut config = config(Algo::A3c, 2_000, 1e-3);
    change(&mut config);
    Setup::new(config, SPEC).unwrap()
}

fn rows(path: &Path) -> Vec<serde_json::Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_run_leaves_logs_and_a_checkpoint_that_agree() {
    let dir = tempfile::tempdir().unwrap();
    let summary = train(&setup(|_| ()), chain, dir.path(), None, &Quiet).unwrap();
    assert!((2_000..2_000 + 2 * 5).contains(&summary.steps), "T_max is overrun by a segment an actor at most");
    let episodes = rows(&dir.path().join("episodes.jsonl"));
    assert_eq!(episodes.len() as u64, summary.episodes);
    assert!(episodes.iter().all(|e| e["frames"].as_u64() == e["steps"].as_u64().map(|s| 4 * s)));
    let progress = rows(&dir.path().join("progress.jsonl"));
    assert_eq!(progress.last().unwrap()["steps"], summary.steps);
    let meta = read_meta(&summary.checkpoint).unwrap();
    assert_eq!((meta.steps, meta.updates, meta.episodes), (summary.steps, summary.updates, summary.episodes));
    let names: Vec<_> = fs::read_dir(dir.path().join("checkpoints")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "step, latest and best, and no temporary file: {names:?}");
}

#[test]
fn resuming_goes_on_with_theta_g_and_t() {
    let dir = tempfile::tempdir().unwrap();
    let first = train(&setup(|_| ()), chain, dir.path(), None, &Quiet).unwrap();
    let longer = setup(|config| config.total_steps = 4_000);
    let saved = Checkpoint::load(&first.checkpoint, &longer).unwrap();
    let restored = restored(&longer, &saved);
    assert_eq!(restored.parameters.snapshot(), saved.parameters);
    assert_eq!(restored.parameters.now(), first.steps);

    let second = train(&longer, chain, dir.path(), Some(&first.checkpoint), &Quiet).unwrap();
    assert!(second.steps >= 4_000 && second.updates > first.updates && second.episodes > first.episodes);
    assert!(second.secs > first.secs);
    let steps: Vec<u64> =
        rows(&dir.path().join("progress.jsonl")).iter().map(|row| row["steps"].as_u64().unwrap()).collect();
    assert!(steps.is_sorted() && steps[0] < 4_000, "{steps:?}");
}

#[test]
fn every_optimizers_statistics_are_saved_and_restored() {
    for (kind, names) in [
        (OptimizerKind::SharedRmsProp, &["g"][..]),
        (OptimizerKind::RmsProp, &["g.actor0", "g.actor1"]),
        (OptimizerKind::MomentumSgd, &["m.actor0", "m.actor1"]),
    ] {
        let (dir, setup) = (tempfile::tempdir().unwrap(), setup(|config| config.optimizer = kind));
        let summary = train(&setup, chain, dir.path(), None, &Quiet).unwrap();
        let saved = Checkpoint::load(&summary.checkpoint, &setup).unwrap();
        let restored = restored(&setup, &saved).parameters.snapshot();
        let (mut found, mut learned) = (Vec::new(), false);
        for (name, values) in restored.statistics {
            learned |= values.iter().any(|x| *x != 0.0); // a run may end before its second actor has begun
            assert!(saved.parameters.statistics.contains(&(name.clone(), values)), "{name} is not what was saved");
            found.push(name);
        }
        assert_eq!(found, names);
        assert!(learned, "all of {names:?} are 0");
    }
}

#[test]
fn numbered_checkpoints_are_pruned_to_the_last_few() {
    let dir = tempfile::tempdir().unwrap();
    let setup = setup(|_| ());
    let summary = train(&setup, chain, dir.path(), None, &Quiet).unwrap();
    let mut checkpoint = Checkpoint::load(&summary.checkpoint, &setup).unwrap();
    let checkpoints = CheckpointDir::create(dir.path()).unwrap();
    for steps in [10_000, 20_000, 30_000, 40_000] {
        checkpoint.meta.steps = steps;
        checkpoints.save(&checkpoint, &setup.net, false, 2).unwrap();
    }
    let mut names: Vec<String> = fs::read_dir(dir.path().join("checkpoints"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("step_"))
        .collect();
    names.sort();
    assert_eq!(names, ["step_0000030000.safetensors", "step_0000040000.safetensors"]);
    assert_eq!(read_meta(&checkpoints.latest()).unwrap().steps, 40_000);
    assert_eq!(read_meta(&checkpoints.best()).unwrap().steps, summary.steps, "best was not asked for again");
}

#[test]
fn a_damaged_checkpoint_is_refused_wherever_it_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let setup = setup(|config| config.total_steps = 100);
    let summary = train(&setup, chain, dir.path(), None, &Quiet).unwrap();
    let good = fs::read(&summary.checkpoint).unwrap();
    let bad = dir.path().join("bad.safetensors");
    for len in [0, 1, 7, 8, 100, good.len() / 2, good.len() - 1] {
        fs::write(&bad, &good[..len]).unwrap();
        let error = Checkpoint::load(&bad, &setup).unwrap_err();
        assert!(matches!(&error, TrainError::Damaged { .. }), "cut to {len}: {error}");
        assert!(error.to_string().contains("bad.safetensors"), "{error}");
    }
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    for at in (0..header).chain((header..good.len()).step_by(97)) {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&bad, &flipped).unwrap();
        assert!(
            Checkpoint::load(&bad, &setup).is_err(),
            "a bit of byte {at} of {header} + {} is another",
            good.len() - header
        );
    }
    let missing = Checkpoint::load(&dir.path().join("none.safetensors"), &setup).unwrap_err();
    assert!(missing.to_string().contains("none.safetensors"), "{missing}");
}

#[test]
fn a_checkpoint_of_another_method_or_environment_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let summary = train(&setup(|config| config.total_steps = 100), chain, dir.path(), None, &Quiet).unwrap();
    let other = setup(|config| config.algo = Algo::NStepQ);
    let error = train(&other, chain, dir.path(), Some(&summary.checkpoint), &Quiet).unwrap_err();
    assert!(error.to_string().contains("a3c") && error.to_string().contains("n-step-q"), "{error}");
    let other = Setup::new(config(Algo::A3c, 100, 1e-3), EnvSpec { actions: ActionSpec::Discrete(3), ..SPEC }).unwrap();
    let error = train(&other, chain, dir.path(), Some(&summary.checkpoint), &Quiet).unwrap_err();
    assert!(error.to_string().contains("vectors of 5 features and 2 actions"), "{error}");
}

#[test]
fn a_run_that_no_machine_has_the_memory_for_is_refused() {
    let spec = EnvSpec { obs: ObsSpec::Vector { len: 1 << 40 }, ..SPEC };
    let setup = Setup::new(config(Algo::A3c, 100, 1e-3), spec).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let error = train(&setup, chain, dir.path(), None, &Quiet).unwrap_err().to_string();
    assert!(error.contains("parameters, for which the run needs at least"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let many = EnvSpec { actions: ActionSpec::Discrete((1 << 24) + 1), ..SPEC };
    let error = Setup::new(config(Algo::A3c, 100, 1e-3), many).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("16777217 actions"), "{error}");
}

/// Environment that fails at its 30th step, by error or by panic, and pays NaN before.
struct Faulty {
    steps: u64,
    panics: bool,
    reward: f32,
}

impl Env<usize> for Faulty {
    fn reset(&mut self, _: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        let ObsMut::Vector(features) = obs else { return Err("vectors only".into()) };
        features.fill(1.0);
        Ok(())
    }
    fn step(&mut self, _: usize, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        self.steps += 1;
        if self.steps == 30 {
            assert!(!self.panics, "the wheels came off");
            return Err("the wheels came off".into());
        }
        self.reset(None, obs)?;
        Ok(Step { reward: self.reward, end: End::No, episode: None })
    }
}

fn faulty(panics: bool, reward: f32) -> impl Fn(usize) -> Result<Box<dyn Env<usize>>, EnvError> + Sync {
    move |actor| {
        let steps = if actor == 1 { 0 } else { 1_000 }; // only actor 1 will fail
        Ok(Box::new(Faulty { steps, panics, reward }) as Box<dyn Env<usize>>)
    }
}

#[test]
fn an_environment_that_fails_stops_the_run_which_is_saved_and_names_the_actor() {
    let dir = tempfile::tempdir().unwrap();
    let setup = setup(|config| config.total_steps = u64::MAX / 8);
    let error = train(&setup, faulty(false, 0.0), dir.path(), None, &Quiet).unwrap_err();
    let TrainError::Env { actor, step, source } = &error else { panic!("{error}") };
    assert_eq!((*actor, *step, source.to_string().as_str()), (1, 29, "the wheels came off"));
    assert!(read_meta(&dir.path().join("checkpoints/latest.safetensors")).unwrap().steps >= 25);
}

#[test]
fn an_actor_that_panics_cannot_go_unnoticed() {
    let dir = tempfile::tempdir().unwrap();
    let setup = setup(|config| config.total_steps = u64::MAX / 8);
    let error = train(&setup, faulty(true, 0.0), dir.path(), None, &Quiet).unwrap_err();
    assert!(matches!(&error, TrainError::Panic { actor: 1, .. }), "{error}");
    assert!(error.to_string().contains("the wheels came off"), "{error}");
}

#[test]
fn gradients_that_are_not_finite_are_refused_and_end_the_run_with_theta_unharmed() {
    let dir = tempfile::tempdir().unwrap();
    let setup = setup(|config| {
        config.total_steps = u64::MAX / 8;
        config.reward_clip = 0.0;
    });
    let env = |_| Ok(Box::new(Faulty { steps: 1_000, panics: false, reward: f32::NAN }) as Box<dyn Env<usize>>);
    let error = train(&setup, env, dir.path(), None, &Quiet).unwrap_err();
    assert!(matches!(&error, TrainError::Diverged { .. }), "{error}");
    let checkpoint = Checkpoint::load(&dir.path().join("checkpoints/latest.safetensors"), &setup).unwrap();
    assert_eq!(checkpoint.meta.updates, 0);
    assert!(checkpoint.meta.refused_updates >= 100);
    assert!(checkpoint.parameters.theta.iter().all(|x| x.is_finite()));
    let last = rows(&dir.path().join("progress.jsonl")).pop().unwrap();
    assert!(last["entropy"].is_null() && last["return_mean_100"].is_null(), "what has no value is null: {last}");
}

/// Host that stops the run at the first progress report.
struct Impatient;

impl Host for Impatient {
    fn notice(&self, _: &str) {}
    fn poll(&self, _: &ProgressRow) -> Result<(), EnvError> {
        Err("enough".into())
    }
    fn check(&self) -> Result<(), EnvError> {
        Err("enough".into())
    }
}

#[test]
fn a_host_that_has_enough_stops_the_run_which_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    let setup = setup(|config| config.total_steps = u64::MAX / 8);
    let error = train(&setup, chain, dir.path(), None, &Impatient).unwrap_err();
    assert_eq!(error.to_string(), "stopped: enough");
    assert!(read_meta(&dir.path().join("checkpoints/latest.safetensors")).unwrap().steps > 0);
}

/// Environment that records the first seed it receives and ends every episode at once.
struct Seeds<'a> {
    first: &'a AtomicU64,
    last: u64,
}

impl Env<usize> for Seeds<'_> {
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        let seed = seed.expect("a seed for every episode, where seeds cost nothing");
        assert_ne!(seed, self.last, "no two episodes of an actor begin alike");
        self.last = seed;
        let _ = self.first.compare_exchange(0, seed, Relaxed, Relaxed);
        let ObsMut::Vector(features) = obs else { return Err("vectors only".into()) };
        features.fill(0.0);
        Ok(())
    }
    fn step(&mut self, _: usize, _: ObsMut<'_>) -> Result<Step, EnvError> {
        let episode = Some(Episode { episode_return: 0.0, length_steps: 1 });
        Ok(Step { reward: 0.0, end: End::Terminal, episode })
    }
}

/// Host that stops the run when every actor has its seed.
struct UntilSeeded(&'static [AtomicU64]);

impl Host for UntilSeeded {
    fn notice(&self, _: &str) {}
    fn poll(&self, _: &ProgressRow) -> Result<(), EnvError> {
        if self.0.iter().all(|seed| seed.load(Relaxed) != 0) { Err("seen".into()) } else { Ok(()) }
    }
    fn check(&self) -> Result<(), EnvError> {
        Ok(())
    }
}

#[test]
fn every_actor_has_its_own_random_stream_and_the_same_one_in_every_run() {
    let seeds_of = |seed| {
        let seeds: &'static [AtomicU64; 4] = Box::leak(Box::new([const { AtomicU64::new(0) }; 4]));
        let dir = tempfile::tempdir().unwrap();
        let setup = setup(|config| (config.actors, config.total_steps, config.seed) = (4, u64::MAX / 8, seed));
        let env = |actor: usize| Ok(Box::new(Seeds { first: &seeds[actor], last: u64::MAX }) as Box<dyn Env<usize>>);
        let end = train(&setup, env, dir.path(), None, &UntilSeeded(seeds)).unwrap_err();
        assert_eq!(end.to_string(), "stopped: seen");
        seeds.each_ref().map(|seed| seed.load(Relaxed))
    };
    let first = seeds_of(1);
    assert!((1..4).all(|i| !first[..i].contains(&first[i])), "actors share a seed: {first:?}");
    assert_eq!(first, seeds_of(1));
    assert!(seeds_of(2).iter().all(|seed| !first.contains(seed)));
}

#[test]
fn t_max_is_the_steps_between_updates_and_max_grad_norm_clips_them() {
    let run = |t_max, max_grad_norm| {
        let dir = tempfile::tempdir().unwrap();
        let setup = setup(|c| (c.t_max, c.max_grad_norm, c.total_steps) = (TMax::Steps(t_max), max_grad_norm, 4_000));
        let env = |_| Ok(Box::new(Faulty { steps: 1_000, panics: false, reward: 1.0 }) as Box<dyn Env<usize>>);
        let summary = train(&setup, env, dir.path(), None, &Quiet).unwrap();
        let rows = rows(&dir.path().join("progress.jsonl"));
        (summary.steps as f64 / summary.updates as f64, rows.last().unwrap()["clipped_share"].as_f64().unwrap())
    };
    assert_eq!(run(5, 0.0), (5.0, 0.0));
    assert_eq!(run(20, 1e-6), (20.0, 1.0));
}

#[test]
fn checkpoints_are_written_while_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let setup = setup(|c| (c.checkpoint_secs, c.keep_checkpoints, c.total_steps) = (0.06, 1_000, u64::MAX / 8));
    let _ = train(&setup, chain, dir.path(), None, &Impatient).unwrap_err();
    let names = fs::read_dir(dir.path().join("checkpoints")).unwrap().map(|e| e.unwrap().file_name());
    let numbered = names.filter(|name| name.to_str().unwrap().starts_with("step_")).count();
    assert!(numbered >= 2, "{numbered} checkpoints in a quarter of a second");
}

#[test]
fn one_segment_at_once_is_sequential_and_more_are_not() {
    let staleness = |segments_at_once| {
        let dir = tempfile::tempdir().unwrap();
        let setup = setup(|c| (c.actors, c.segments_at_once, c.total_steps) = (4, segments_at_once, 100_000));
        train(&setup, chain, dir.path(), None, &Quiet).unwrap();
        let rows = rows(&dir.path().join("progress.jsonl"));
        rows.last().unwrap()["staleness"].as_f64().unwrap()
    };
    assert_eq!(staleness(1), 0.0, "nobody else updates between a pull and its push");
    assert!(staleness(4) > 0.0);
}

#[test]
fn all_actors_are_in_flight_where_other_processes_compute() {
    let at_once = |own_process, segments_at_once| {
        let config = TrainConfig { actors: 100, segments_at_once, ..config(Algo::A3c, 100, 1e-3) };
        let setup = Setup::new(config, EnvSpec { own_process, ..SPEC }).unwrap();
        Shared::new(&setup).order.at_once()
    };
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(at_once(false, 0), (2 * cores).min(100));
    assert_eq!(at_once(true, 0), 100);
    assert_eq!(at_once(true, 3), 3);
}

#[test]
fn a_run_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a-file");
    fs::write(&file, "").unwrap();
    let error = train(&setup(|_| ()), chain, &file, None, &Quiet).unwrap_err();
    assert!(error.to_string().contains("a-file"), "{error}");
}

#[test]
fn a_benchmark_of_no_time_is_refused_and_one_of_little_time_has_figures() {
    let setup = setup(|_| ());
    for secs in [0.0, -3.0, f64::NAN, f64::INFINITY] {
        let error = bench(&setup, chain, secs, &Quiet).unwrap_err();
        assert!(error.to_string().contains("secs is"), "{error}");
    }
    let row = bench(&setup, chain, 0.2, &Quiet).unwrap();
    assert!(row.emulator_steps_per_sec > row.train_steps_per_sec && row.train_steps_per_sec > 0.0, "{row:?}");
}

#[test]
fn a_benchmark_of_an_environment_that_fails_ends() {
    let error = bench(&setup(|_| ()), faulty(false, 0.0), 0.2, &Quiet).unwrap_err();
    assert!(matches!(&error, TrainError::Env { actor: 1, .. }), "{error}");
}
