//! Checkpoints: safetensors files that survive a power cut, readable by anything and executed by nothing.
//!
//! `theta.<layer>.weight` and so on in canonical order, `theta_target.<...>` where there is one, and the optimizer's statistics under
//! their names: `g.<...>` for shared RMSProp, `g.actor0.<...>` or `m.actor0.<...>` where each actor has its own; in F64 the running
//! statistics `observations.{count,mean,m2}` and `returns.{count,mean,m2}` where there are such; of each actor, under `actor0.`, what
//! [`ActorState`] consists of; `window.{returns,lengths}` of the last episodes and `progress.sums` for the logs. Scalars are string
//! metadata, and so is a checksum.

use super::actor_state::{ActorMeta, ActorState};
use super::config::Algo;
use super::error::TrainError;
use super::normalise::Moments;
use super::record::ReturnWindow;
use super::setup::Setup;
use super::stats::Totals;
use super::tensors::{Reader, Writer, damaged, metadata};
use crate::env::{ActionSpec, EnvSpec};
use crate::kernel::activation::Activation;
use crate::nn::{Net, Network};
use crate::rl::Covariance;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Files of a newer format are refused, of an older one read for ever. Format 1 knew discrete actions alone, and no running statistics;
/// format 2 nothing of the actors, and no checksum.
pub const FORMAT_VERSION: u32 = 3;
const FIRST_WITH_CHECKSUM: u32 = 3;

/// No run gets further: `total_steps` is at most so much, and counts can be added to without another thought.
pub(super) const MOST_COUNTED: u64 = 1 << 53;

/// The key under which [`CheckpointMeta`] lies in the file's metadata, as JSON.
const META_KEY: &str = "a3crs";

/// The scalars of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointMeta {
    /// [`FORMAT_VERSION`] of the file.
    pub format_version: u32,
    /// T
    pub steps: u64,
    /// Seconds of training.
    pub secs: f64,
    /// Whole episodes.
    pub episodes: u64,
    /// Updates applied.
    pub updates: u64,
    /// Updates refused.
    pub refused_updates: u64,
    /// Best mean return over 100 episodes at any checkpoint so far.
    pub best_return_mean_100: Option<f64>,
    /// The environment it was trained on.
    pub env: String,
    /// The method.
    pub algo: Algo,
    /// The network.
    pub net: Net,
    /// Units of its hidden layers; empty: the network's own, which older files do not say.
    #[serde(default)]
    pub hidden: Vec<usize>,
    /// The activation of its hidden layers.
    #[serde(default = "of_the_paper")]
    pub activation: Activation,
    /// Its LSTM cells; 0: the network's own.
    #[serde(default)]
    pub cells: usize,
    /// Its covariance, where actions are continuous.
    #[serde(default = "of_discrete_actions")]
    pub gaussian: Covariance,
    /// Its input and its actions.
    pub env_spec: EnvSpec,
    /// The numbers of its actors; none in formats 1 and 2.
    #[serde(default)]
    pub actors: Vec<ActorMeta>,
}

/// What format 1 says nothing of, because it says nothing.
fn of_discrete_actions() -> Covariance {
    Covariance::Spherical
}

/// The activation of files from before there was a choice.
fn of_the_paper() -> Activation {
    Activation::Relu
}

/// A checkpoint in memory. Vectors are laid out as theta.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The scalars.
    pub meta: CheckpointMeta,
    /// theta
    pub theta: Vec<f32>,
    /// theta_target
    pub theta_target: Option<Vec<f32>>,
    /// The optimizer's statistics, each under its name.
    pub statistics: Vec<(String, Vec<f32>)>,
    /// What observations are normalised by.
    pub observations: Option<Moments>,
    /// What rewards are scaled by.
    pub returns: Option<Moments>,
    /// The actors; none in formats 1 and 2.
    pub actors: Vec<ActorState>,
    /// The last episodes.
    pub window: ReturnWindow,
    /// The sums of all actors when the progress log was written last.
    pub logged: Totals,
}

/// The groups of tensors, each laid out as theta; the others are the optimizer's.
const THETA: &str = "theta";
const THETA_TARGET: &str = "theta_target";
/// How the names of files begin that are not whole yet.
const TEMPORARY: &str = ".checkpoint-";
/// The groups of running statistics.
const OBSERVATIONS: &str = "observations";
const RETURNS: &str = "returns";
/// For the logs.
const WINDOW_RETURNS: &str = "window.returns";
const WINDOW_LENGTHS: &str = "window.lengths";
const LOGGED: &str = "progress.sums";

impl Checkpoint {
    /// The file's bytes.
    fn to_bytes(&self, net: &Network) -> Result<Vec<u8>, String> {
        let target = self.theta_target.iter().map(|values| (THETA_TARGET, values));
        let statistics = self.statistics.iter().map(|(name, values)| (name.as_str(), values));
        let mut file = Writer::default();
        for (group, values) in [(THETA, &self.theta)].into_iter().chain(target).chain(statistics) {
            for param in &net.layout().params {
                file.add(format!("{group}.{}", param.name), &param.shape, &param.export(values));
            }
        }
        for (group, moments) in [(OBSERVATIONS, &self.observations), (RETURNS, &self.returns)] {
            for (name, values) in moments.iter().flat_map(|moments| moments.parts()) {
                file.add(format!("{group}.{name}"), &[values.len()], values);
            }
        }
        self.actors.iter().enumerate().for_each(|(actor, state)| state.write(actor, &mut file));
        let (returns, lengths) = self.window.to_vecs();
        file.add(WINDOW_RETURNS.into(), &[returns.len()], &returns);
        file.add(WINDOW_LENGTHS.into(), &[lengths.len()], &lengths);
        file.add(LOGGED.into(), &[self.logged.as_slice().len()], self.logged.as_slice());
        let actors = self.actors.iter().map(|actor| actor.meta.clone()).collect();
        let meta = CheckpointMeta { actors, ..self.meta.clone() };
        file.into_bytes(META_KEY, serde_json::to_string(&meta).map_err(|e| e.to_string())?)
    }

    /// Writes the checkpoint to each of `paths` in turn: a temporary file, fsync, rename, fsync of the folder.
    pub fn save(&self, net: &Network, paths: &[PathBuf]) -> Result<(), TrainError> {
        let Some(first) = paths.first() else { return Ok(()) };
        let unusable = |reason| TrainError::Checkpoint { path: first.clone(), reason };
        let bytes = self.to_bytes(net).map_err(unusable)?;
        for path in paths {
            write_atomically(path, &bytes).map_err(TrainError::io("write", path))?;
        }
        Ok(())
    }

    /// Reads a checkpoint of a run like `setup`.
    pub fn load(path: &Path, setup: &Setup) -> Result<Self, TrainError> {
        let bytes = read(path)?;
        let (meta, file) = open(path, &bytes)?;
        Self::of(meta, &file, setup).map_err(|reason| TrainError::Checkpoint { path: path.to_path_buf(), reason })
    }

    fn of(meta: CheckpointMeta, file: &Reader<'_>, setup: &Setup) -> Result<Self, String> {
        let net = &setup.net;
        let params: Vec<String> = net.layout().params.iter().map(|param| format!(".{}", param.name)).collect();
        let group_of = |name| params.iter().find_map(|param| str::strip_suffix(name, param));
        let target = (!setup.config.algo.has_policy()).then_some(THETA_TARGET);
        let groups: BTreeSet<&str> =
            file.names().into_iter().filter_map(group_of).chain([THETA]).chain(target).collect();
        let values = |group: &str| Ok::<_, String>((group.to_owned(), read_group(file, group, net)?));
        let mut groups: BTreeMap<_, _> = groups.into_iter().map(values).collect::<Result<_, _>>()?;
        let observations = read_moments(file, OBSERVATIONS, net.input().len())?;
        let mut actors = Vec::with_capacity(meta.actors.len());
        for (actor, numbers) in meta.actors.iter().enumerate().take(setup.config.actors) {
            let mut state = setup.actor_state(observations.as_ref(), None);
            state.read(actor, numbers.clone(), file, setup.env.actions)?;
            actors.push(state);
        }
        let has_logs = !actors.is_empty();
        let window = match has_logs {
            true => {
                let lengths = file.get(WINDOW_LENGTHS, &[usize::MAX])?;
                ReturnWindow::from_vecs(file.get(WINDOW_RETURNS, &[usize::MAX])?, lengths)
            }
            false => ReturnWindow::default(),
        };
        let logged = if has_logs { file.get::<f64>(LOGGED, &[usize::MAX])? } else { Vec::new() };
        Ok(Checkpoint {
            theta: groups.remove(THETA).unwrap_or_default(),
            theta_target: groups.remove(THETA_TARGET),
            statistics: groups.into_iter().collect(),
            observations,
            returns: read_moments(file, RETURNS, 1)?,
            actors,
            window,
            logged: Totals::from_slice(&logged),
            meta,
        })
    }
}

/// The scalars of the checkpoint at `path`, of which every byte is looked at.
pub fn read_meta(path: &Path) -> Result<CheckpointMeta, TrainError> {
    Ok(open(path, &read(path)?)?.0)
}

fn read(path: &Path) -> Result<Vec<u8>, TrainError> {
    std::fs::read(path)
        .map_err(|e| TrainError::Checkpoint { path: path.to_path_buf(), reason: format!("it cannot be read ({e})") })
}

/// The scalars and the tensors of a file that is whole.
fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<(CheckpointMeta, Reader<'a>), TrainError> {
    let is_damaged = |reason| TrainError::Damaged { path: path.to_path_buf(), reason };
    let refused = |reason| TrainError::Checkpoint { path: path.to_path_buf(), reason };
    let meta = metadata(bytes, META_KEY).map_err(is_damaged)?;
    let meta = meta.ok_or_else(|| refused("it is a safetensors file, but not a checkpoint of a3crs".into()))?;
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }
    let parsed: Result<Version, _> = serde_json::from_str(&meta);
    let Version { format_version } = parsed.map_err(|e| is_damaged(damaged(e)))?;
    let file = Reader::new(bytes, &meta, format_version >= FIRST_WITH_CHECKSUM).map_err(is_damaged)?;
    if format_version > FORMAT_VERSION {
        return Err(refused(format!(
            "it has format {format_version}, this a3crs reads up to {FORMAT_VERSION}; use a newer a3crs"
        )));
    }
    let meta: CheckpointMeta = serde_json::from_str(&meta).map_err(|e| is_damaged(damaged(e)))?;
    let counts = [meta.steps, meta.episodes, meta.updates, meta.refused_updates];
    if let Some(most) = counts.iter().find(|count| **count > MOST_COUNTED) {
        return Err(refused(format!("it has counted to {most}, which no run can")));
    }
    Ok((meta, file))
}

fn read_group(file: &Reader<'_>, group: &str, net: &Network) -> Result<Vec<f32>, String> {
    let mut values = vec![0.0; net.layout().len()];
    for param in &net.layout().params {
        let name = format!("{group}.{}", param.name);
        let canonical: Vec<f32> = file.get(&name, &param.shape)?;
        if let Some(bad) = canonical.iter().find(|x| !x.is_finite()) {
            return Err(format!("its tensor {name} contains {bad}"));
        }
        param.import(&canonical, &mut values);
    }
    Ok(values)
}

/// The statistics of `group` over vectors of length `dims`; none where the file has none.
fn read_moments(file: &Reader<'_>, group: &str, dims: usize) -> Result<Option<Moments>, String> {
    if !file.has(&format!("{group}.count")) {
        return Ok(None);
    }
    let read = |name: &str, len: usize, of_any_sign: bool| {
        let name = format!("{group}.{name}");
        let values: Vec<f64> = file.get(&name, &[len])?;
        let least = if of_any_sign { f64::MIN } else { 0.0 };
        match values.iter().find(|x| !x.is_finite() || **x < least) {
            Some(bad) => Err(format!("its tensor {name} contains {bad}")),
            None => Ok(values),
        }
    };
    let (count, mean, m2) = (read("count", 1, false)?[0], read("mean", dims, true)?, read("m2", dims, false)?);
    Ok(Some(Moments { count, mean, m2 }))
}

fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)] // as any other file: the umask decides, not a temporary file's privacy
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.prefix(TEMPORARY).tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    sync_dir(dir)
}

/// Makes a rename survive a power cut. Not every system can open a folder; there, nothing can be done.
fn sync_dir(dir: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// The checkpoints of a run: `step_<T>.safetensors`, `latest.safetensors` and `best.safetensors`.
#[derive(Clone, Debug)]
pub struct CheckpointDir(PathBuf);

impl CheckpointDir {
    /// `checkpoints/` of a run directory, created if need be. Nobody else writes there: runs are locked.
    pub fn create(run_dir: &Path) -> Result<Self, TrainError> {
        let dir = run_dir.join("checkpoints");
        std::fs::create_dir_all(&dir).map_err(TrainError::io("create", &dir))?;
        // Half a file, of a process that was killed while it wrote.
        for entry in std::fs::read_dir(&dir).map_err(TrainError::io("read", &dir))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                std::fs::remove_file(entry.path()).map_err(TrainError::io("remove", &entry.path()))?;
            }
        }
        Ok(CheckpointDir(dir))
    }

    /// The newest checkpoint.
    pub fn latest(&self) -> PathBuf {
        self.0.join("latest.safetensors")
    }

    /// The checkpoint with the best mean return over 100 episodes.
    pub fn best(&self) -> PathBuf {
        self.0.join("best.safetensors")
    }

    /// Saves `checkpoint` under its step and as the latest, as the best too if `is_best`; then keeps the last `keep` steps.
    pub fn save(&self, checkpoint: &Checkpoint, net: &Network, is_best: bool, keep: usize) -> Result<(), TrainError> {
        let mut paths = vec![self.0.join(format!("step_{:010}.safetensors", checkpoint.meta.steps)), self.latest()];
        if is_best {
            paths.push(self.best());
        }
        checkpoint.save(net, &paths)?;
        let mut steps: Vec<PathBuf> = std::fs::read_dir(&self.0)
            .map_err(TrainError::io("read", &self.0))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("step_")))
            .collect();
        steps.sort();
        for old in &steps[..steps.len().saturating_sub(keep.max(1))] {
            std::fs::remove_file(old).map_err(TrainError::io("remove", old))?;
        }
        Ok(())
    }
}

/// Refuses the checkpoint at `path` if it is of another method, network or environment than the run.
pub fn check(path: &Path, setup: &Setup) -> Result<(), TrainError> {
    let (meta, config, env) = (read_meta(path)?, &setup.config, &setup.env);
    let covariance = |gaussian: Covariance| format!("{gaussian:?}").to_lowercase();
    let is_continuous = matches!(env.actions, ActionSpec::Continuous { .. });
    let differs = if meta.algo != config.algo {
        format!("it is of algo {}, this run has {}", meta.algo.name(), config.algo.name())
    } else if meta.net != config.net {
        format!("it is of net {}, this run has {}", meta.net.entry().name, config.net.entry().name)
    } else if meta.hidden != config.hidden {
        format!("its hidden layers are {}, this run's are {}", widths(&meta.hidden), widths(&config.hidden))
    } else if meta.activation != config.activation {
        let name = |activation: Activation| format!("{activation:?}").to_lowercase();
        format!("it is of activation {}, this run has {}", name(meta.activation), name(config.activation))
    } else if meta.cells != config.cells {
        let cells = |cells: usize| if cells == 0 { "the net's own number of".into() } else { cells.to_string() };
        format!("it has {} cells, this run has {}", cells(meta.cells), cells(config.cells))
    } else if !meta.env_spec.same_task(env) {
        let describe = |spec: &EnvSpec| format!("{} and {}", spec.obs, spec.actions);
        format!(
            "it was trained on {} with {}, this run's environment has {}",
            meta.env,
            describe(&meta.env_spec),
            describe(env)
        )
    } else if is_continuous && meta.gaussian != config.gaussian {
        let (has, wanted) = (covariance(meta.gaussian), covariance(config.gaussian));
        format!("it is of a {has} gaussian, this run has a {wanted} one")
    } else {
        return Ok(());
    };
    Err(TrainError::Checkpoint { path: path.to_path_buf(), reason: differs })
}

/// `64,64`, or that they are the network's own.
fn widths(hidden: &[usize]) -> String {
    let widths: Vec<_> = hidden.iter().map(usize::to_string).collect();
    if widths.is_empty() { "the net's own".into() } else { widths.join(",") }
}
