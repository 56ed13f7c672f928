//! Reproducible runs: repeated or resumed, they are equal bit for bit.

use a3crs_core::env::{ActionSpec, Aim, Catch, Env, EnvError, EnvSpec, ObsMut, Recall, Step};
use a3crs_core::nn::Net;
use a3crs_core::shared::OptimizerKind;
use a3crs_core::train::config::{RewardScale, Running, TMax};
use a3crs_core::train::log::{ProgressRow, Stat, Totals};
use a3crs_core::train::save::{CheckpointMeta, read_meta};
use a3crs_core::train::{Action, Algo, Checkpoint, Host, Setup, TrainConfig, train};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use support::{Quiet, config};

mod support;

/// Environment whose steps take a varying time.
struct Unsteady<E> {
    env: E,
    micros: u64,
    steps: u64,
}

impl<A: Action, E: Env<A>> Env<A> for Unsteady<E> {
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        self.env.reset(seed, obs)
    }
    fn step(&mut self, action: A, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        self.steps += 1;
        if self.micros > 0 {
            std::thread::sleep(Duration::from_micros(self.micros * (self.steps * 7 % 5) / 2));
        }
        self.env.step(action, obs)
    }
}

/// Returns the sums without the CPU seconds.
fn without_secs(sums: &Totals) -> Totals {
    let mut sums = sums.as_slice().to_vec();
    [Stat::ForwardSecs, Stat::BackwardSecs, Stat::UpdateSecs].iter().for_each(|stat| sums[*stat as usize] = 0.0);
    Totals::from_slice(&sums)
}

/// Returns the logs and the last checkpoint of a run, without the fields that depend on wall-clock time.
fn remains(dir: &Path, setup: &Setup) -> (Vec<String>, String) {
    let wall = [
        "secs",
        "steps_per_sec",
        "rss_mb",
        "share_env",
        "share_forward",
        "share_backward",
        "share_update",
        "share_waiting",
    ];
    let mut rows = Vec::new();
    for log in ["episodes.jsonl", "progress.jsonl"] {
        for line in fs::read_to_string(dir.join(log)).unwrap().lines() {
            let mut row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
            wall.iter().for_each(|name| drop(row.remove(*name)));
            rows.push(serde_json::to_string(&row).unwrap());
        }
    }
    let mut last = Checkpoint::load(&dir.join("checkpoints/latest.safetensors"), setup).unwrap();
    (last.meta.secs, last.meta.best_return_mean_100) = (0.0, None);
    for actor in &mut last.actors {
        actor.sums = without_secs(&actor.sums);
    }
    last.logged = without_secs(&last.logged);
    for actor in &mut last.meta.actors {
        actor.place.forget();
    }
    (rows, format!("{last:?}"))
}

fn play<A: Action, E: Env<A> + 'static>(
    setup: &Setup,
    env: impl Fn() -> E + Sync,
    micros: impl Fn(usize) -> u64 + Sync,
    dir: &Path,
    resume: bool,
    host: &dyn Host,
) -> Result<(), String> {
    let latest = dir.join("checkpoints/latest.safetensors");
    let make = |actor| Ok(Box::new(Unsteady { env: env(), micros: micros(actor), steps: 0 }) as Box<dyn Env<A>>);
    train(setup, make, dir, resume.then_some(latest.as_path()), host).map(|_| ()).map_err(|e| e.to_string())
}

fn repeatable(algo: Algo, net: Net, spec: EnvSpec, change: impl Fn(&mut TrainConfig)) -> Setup {
    let mut config = config(algo, 21_000, 1e-3);
    (config.network.net, config.actors, config.deterministic, config.target_interval_steps) = (net, 5, true, 100);
    change(&mut config);
    Setup::new(config, spec).unwrap()
}

fn catch() -> (impl Fn() -> Catch + Sync, EnvSpec) {
    (|| Catch::new(6, 6), EnvSpec::new(Catch::new(6, 6).obs_spec(), ActionSpec::Discrete(3)))
}

fn recall() -> (impl Fn() -> Recall + Sync, EnvSpec) {
    (|| Recall::new(4), EnvSpec::new(Recall::new(4).obs_spec(), ActionSpec::Discrete(2)))
}

fn repeats<A: Action, E: Env<A> + 'static>(setup: &Setup, env: impl Fn() -> E + Sync) {
    let of = |micros: &(dyn Fn(usize) -> u64 + Sync)| {
        let dir = tempfile::tempdir().unwrap();
        play(setup, &env, micros, dir.path(), false, &Quiet).unwrap();
        remains(dir.path(), setup)
    };
    let (first, second) = (of(&|_| 0), of(&|actor| [0, 0, 3, 0, 1][actor % 5]));
    assert!(first.0.len() > 100 && first.0.iter().any(|row| row.contains("value_loss")), "{} rows", first.0.len());
    same(&first, &second);
}

fn same(a: &(Vec<String>, String), b: &(Vec<String>, String)) {
    for (a, b) in a.0.iter().zip(&b.0) {
        assert_eq!(a, b);
    }
    assert_eq!(a.0.len(), b.0.len());
    let first = a.1.bytes().zip(b.1.bytes()).position(|(a, b)| a != b).unwrap_or(a.1.len().min(b.1.len()));
    let near = |text: &str| text[first.saturating_sub(200)..(first + 200).min(text.len())].to_owned();
    assert!(a.1 == b.1, "checkpoints differ:\n{}\n{}", near(&a.1), near(&b.1));
}

#[test]
fn a_repeatable_run_depends_on_its_settings_alone() {
    for algo in Algo::ALL {
        let (env, spec) = recall();
        repeats::<usize, _>(&repeatable(algo, Net::Lstm, spec, |_| ()), env);
    }
    for optimizer in OptimizerKind::ALL {
        let (env, spec) = catch();
        let setup = repeatable(Algo::A3c, Net::Ff, spec, |config| {
            (config.optimizer, config.total_steps, config.segments_at_once) = (optimizer, 11_000, 2);
        });
        repeats::<usize, _>(&setup, env);
    }
    let aim = || Aim::new(3, 20);
    let setup = repeatable(Algo::A3c, Net::Ff, aim().spec(), |config| {
        (config.normalize_obs, config.reward_scale) = (true, RewardScale::Running(Running::Running));
    });
    repeats::<a3crs_core::rl::ActionVector, _>(&setup, aim);
}

#[test]
fn other_seeds_are_other_runs_and_asynchronous_actors_are_not_in_step() {
    let of = |change: &dyn Fn(&mut TrainConfig)| {
        let (env, spec) = recall();
        let (setup, dir) = (repeatable(Algo::A3c, Net::Ff, spec, change), tempfile::tempdir().unwrap());
        play::<usize, _>(&setup, env, |actor| [0, 0, 3, 0, 1][actor % 5], dir.path(), false, &Quiet).unwrap();
        remains(dir.path(), &setup).1
    };
    assert_ne!(of(&|_| ()), of(&|config| config.seed = 2));
    assert_ne!(of(&|config| config.deterministic = false), of(&|_| ()));
}

/// Host that stops the run at the first progress report, unless the run is over by then.
struct Hasty {
    total_steps: u64,
}

impl Host for Hasty {
    fn poll(&self, row: &ProgressRow) -> Result<(), EnvError> {
        if row.steps < self.total_steps { Err("enough".into()) } else { Ok(()) }
    }
    fn notice(&self, what: &str) {
        panic!("{what}");
    }
    fn check(&self) -> Result<(), EnvError> {
        Ok(())
    }
}

/// Returns the logs and checkpoints of a run that was stopped a few times, and of one that was not.
fn stopped_and_not<A: Action, E: Env<A> + 'static>(setup: &Setup, env: impl Fn() -> E + Sync, micros: u64) {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    play(setup, &env, |_| 0, whole.path(), false, &Quiet).unwrap();
    let (mut stops, host) = (0, Hasty { total_steps: setup.config.total_steps });
    while let Err(error) = play(setup, &env, |_| micros, parts.path(), stops > 0, &host) {
        assert_eq!(error, "stopped: enough");
        stops += 1;
        assert!(stops < 50, "it never ends");
    }
    assert!(stops >= 2, "stopped {stops} times");
    // If the last stop came after the last round, the resumed run is over at once.
    play(setup, &env, |_| panic!("no environment is needed"), parts.path(), true, &Quiet).unwrap();
    same(&remains(parts.path(), setup), &remains(whole.path(), setup));
}

#[test]
fn a_repeatable_run_that_is_stopped_and_resumed_is_the_run_that_was_not() {
    for algo in Algo::ALL {
        let (env, spec) = recall();
        stopped_and_not::<usize, _>(&repeatable(algo, Net::Lstm, spec, |_| ()), env, 60);
    }
    for (reseed_steps, random_steps) in [(0, true), (500, false), (500, true)] {
        let (env, spec) = catch();
        let spec = EnvSpec { reseed_steps, random_steps, ..spec };
        let setup = repeatable(Algo::OneStepQ, Net::Ff, spec, |config| {
            (config.optimizer, config.total_steps) = (OptimizerKind::RmsProp, 12_000);
        });
        stopped_and_not::<usize, _>(&setup, env, 100);
    }
    let aim = || Aim::new(3, 20);
    let setup = repeatable(Algo::A3c, Net::Lstm, aim().spec(), |config| {
        (config.normalize_obs, config.reward_scale) = (true, RewardScale::Running(Running::Running));
    });
    stopped_and_not::<a3crs_core::rl::ActionVector, _>(&setup, aim, 60);
}

#[test]
fn an_actor_alone_goes_on_exactly_where_it_was_also_without_a_fixed_order() {
    for algo in [Algo::A3c, Algo::OneStepSarsa] {
        let (env, spec) = recall();
        let setup = repeatable(algo, Net::Lstm, spec, |config| (config.deterministic, config.actors) = (false, 1));
        let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        play::<usize, _>(&setup, &env, |_| 0, whole.path(), false, &Quiet).unwrap();
        let first = Hasty { total_steps: setup.config.total_steps };
        play::<usize, _>(&setup, &env, |_| 60, parts.path(), false, &first).unwrap_err();
        play::<usize, _>(&setup, &env, |_| 0, parts.path(), true, &Hasty { total_steps: 0 }).unwrap();
        let episodes = |dir: &Path| -> Vec<String> {
            remains(dir, &setup).0.into_iter().filter(|row| row.contains("length_steps")).collect()
        };
        assert_eq!(episodes(parts.path()), episodes(whole.path()));
        let theta = |dir: &Path| {
            Checkpoint::load(&dir.join("checkpoints/latest.safetensors"), &setup).unwrap().parameters.theta
        };
        assert_eq!(theta(parts.path()), theta(whole.path()));
    }
}

/// Environment variables with the directory and the seed of a run in a process of its own, which the test kills.
const VICTIM: (&str, &str) = ("A3CRS_TEST_VICTIM", "A3CRS_TEST_SEED");
const KILLS: u64 = 200;

fn victims_setup(seed: u64, checkpoint_secs: f64) -> (impl Fn() -> Recall + Sync, Setup) {
    let (env, spec) = recall();
    let setup = repeatable(Algo::A3c, Net::Lstm, spec, |config| {
        (config.actors, config.total_steps, config.seed) = (3, 12_000, seed);
        (config.checkpoint_secs, config.keep_checkpoints) = (checkpoint_secs, 2);
    });
    (env, setup)
}

#[test]
fn victim() {
    if let (Some(dir), Ok(seed)) = (std::env::var_os(VICTIM.0), std::env::var(VICTIM.1)) {
        let (dir, (env, setup)) = (Path::new(&dir), victims_setup(seed.parse().unwrap(), 0.005));
        play::<usize, _>(&setup, env, |_| 0, dir, dir.join("checkpoints/latest.safetensors").exists(), &Quiet).unwrap();
    }
}

/// Drops the rows logged after `saved`, as a3crs does before it resumes a run.
fn forget_after(dir: &Path, saved: &CheckpointMeta) -> u64 {
    let mut episodes = 0;
    for log in ["episodes.jsonl", "progress.jsonl"] {
        let text = fs::read_to_string(dir.join(log)).unwrap();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let kept: Vec<&str> = whole
            .lines()
            .filter(|line| {
                let row: serde_json::Value = serde_json::from_str(line).expect("a line is whole");
                let actor = row["actor"].as_u64().map(|actor| saved.actors[actor as usize].ticket);
                row["steps"].as_u64().unwrap() <= actor.unwrap_or(saved.steps)
            })
            .collect();
        episodes += if log == "episodes.jsonl" { kept.len() as u64 } else { 0 };
        fs::write(dir.join(log), kept.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }
    episodes
}

/// Kills a run until it has ended, or until there were enough kills, and checks the files after each. Returns the
/// number of kills, and of those that came after a new checkpoint.
fn killed(dir: &Path, seed: u64, enough: u64) -> (u64, u64) {
    let (mut kills, mut advances, mut done) = (0, 0, 0);
    let checkpoints = dir.join("checkpoints");
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "victim"]).env(VICTIM.0, dir).env(VICTIM.1, seed.to_string()).stdout(Stdio::null());
        let mut child = child.spawn().unwrap();
        if kills < enough {
            std::thread::sleep(Duration::from_millis(2 + (seed + kills) * 37 % 60));
            child.kill().unwrap();
        }
        let ended = child.wait().unwrap();
        assert!(ended.success() || ended.signal() == Some(9), "{ended}");
        kills += u64::from(!ended.success());
        let latest = checkpoints.join("latest.safetensors");
        if latest.exists() {
            for file in fs::read_dir(&checkpoints).unwrap().map(|entry| entry.unwrap().path()) {
                let is_temporary = file.file_name().unwrap().to_str().unwrap().starts_with('.');
                assert!(is_temporary || read_meta(&file).is_ok(), "{file:?} is not whole");
            }
            let saved = read_meta(&latest).unwrap();
            assert!(saved.steps >= done, "T went back from {done} to {}", saved.steps);
            advances += u64::from(saved.steps > done && !ended.success());
            done = saved.steps;
            assert_eq!(forget_after(dir, &saved), saved.episodes, "episodes before the checkpoint are missing");
        } else if dir.join("episodes.jsonl").exists() {
            fs::remove_file(dir.join("episodes.jsonl")).unwrap(); // the log begins anew
        }
        if ended.success() {
            return (kills, advances);
        }
    }
}

#[test]
fn killed_two_hundred_times_a_run_loses_nothing_but_the_work_since_its_last_checkpoint() {
    let (mut kills, mut advances) = (0, 0);
    for seed in 1.. {
        let (dir, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (more, after_a_checkpoint) = killed(dir.path(), seed, KILLS - kills);
        (kills, advances) = (kills + more, advances + after_a_checkpoint);
        let (env, setup) = victims_setup(seed, 300.0);
        play::<usize, _>(&setup, env, |_| 0, whole.path(), false, &Quiet).unwrap();
        same(&remains(dir.path(), &setup), &remains(whole.path(), &setup));
        if kills == KILLS {
            println!("{kills} kills in {seed} runs, {advances} of them after a new checkpoint");
            break;
        }
    }
    assert!(advances >= KILLS / 10, "{advances} checkpoints between {kills} kills are too few to tell");
}

/// Environment that draws numbers without a seed.
struct Unseeded(Catch);
static NOISE: AtomicU64 = AtomicU64::new(1);

impl Env<usize> for Unseeded {
    fn reset(&mut self, _: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        self.0.reset(Some(NOISE.fetch_add(1, Relaxed)), obs)
    }
    fn step(&mut self, action: usize, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        self.0.step(action, obs)
    }
}

/// Host that records all notices.
struct Listening(Mutex<Vec<String>>);

impl Host for Listening {
    fn poll(&self, _: &ProgressRow) -> Result<(), EnvError> {
        Ok(())
    }
    fn notice(&self, what: &str) {
        self.0.lock().unwrap().push(what.into());
    }
    fn check(&self) -> Result<(), EnvError> {
        Ok(())
    }
}

#[test]
fn an_environment_that_is_not_deterministic_is_found_out_and_the_run_goes_on() {
    let (_, spec) = catch();
    let setup = |total_steps| {
        repeatable(Algo::A3c, Net::Ff, spec.clone(), |config| {
            // Each actor stops after one step, when the ball is in one of six columns.
            (config.t_max, config.total_steps, config.actors) = (TMax::Steps(1), total_steps, 16);
        })
    };
    let dir = tempfile::tempdir().unwrap();
    let env = || Unseeded(Catch::new(6, 6));
    play::<usize, _>(&setup(16), env, |_| 0, dir.path(), false, &Quiet).unwrap();
    let host = Listening(Mutex::default());
    play::<usize, _>(&setup(1_000), env, |_| 0, dir.path(), true, &host).unwrap();
    let heard = host.0.into_inner().unwrap();
    let incidents = fs::read_to_string(dir.path().join("incidents.jsonl")).unwrap();
    assert_eq!(heard.len(), incidents.lines().count());
    assert!(!heard.is_empty() && heard[0].contains("not deterministic"), "{heard:?}");
}
