//! Checkpoints: safetensors files that survive a power cut, readable by anything and executed by nothing.
//!
//! `theta.<layer>.weight` and so on in canonical order, `theta_target.<...>` where there is one, and the optimizer's statistics under
//! their names: `g.<...>` for shared RMSProp, `g.actor0.<...>` or `m.actor0.<...>` where each actor has its own; in F64 the running
//! statistics `observations.{count,mean,m2}` and `returns.{count,mean,m2}` where there are such; of each actor, under `actor0.`, what
//! [`ActorState`] consists of; `window.{returns,lengths}` of the last episodes and `progress.sums` for the logs. Scalars are string
//! metadata, and so is a checksum.

use super::actor;
use super::dir::write_atomically;
use super::tensors::{Reader, Writer, damaged, metadata};
use crate::env::EnvSpec;
use crate::nn::{NetSpec, Network};
use crate::rl::{Algo, Covariance};
use crate::shared::Snapshot;
use crate::train::error::TrainError;
use crate::train::learn::moments::Moments;
use crate::train::learn::shared::new_actor;
use crate::train::learn::{ActorMeta, ActorState};
use crate::train::log::{ReturnWindow, Totals};
use crate::train::setup::Setup;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Files of a newer format are refused, of an older one read for ever. Format 1 knew discrete actions alone, and no running statistics;
/// format 2 nothing of the actors, and no checksum.
pub const FORMAT_VERSION: u32 = 3;
const FIRST_WITH_CHECKSUM: u32 = 3;

/// No run gets further: `total_steps` is at most so much, and counts can be added to without another thought.
pub(in crate::train) const MOST_COUNTED: u64 = 1 << 53;

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
    /// Number of whole episodes.
    pub episodes: u64,
    /// Updates applied.
    pub updates: u64,
    /// Updates refused.
    pub refused_updates: u64,
    /// Best mean return over 100 episodes at any checkpoint so far.
    pub best_return_mean_100: Option<f64>,
    /// Name of the environment.
    pub env: String,
    /// The method.
    pub algo: Algo,
    /// Settings of the network.
    #[serde(flatten)]
    pub network: NetSpec,
    /// Covariance of the policy, where actions are continuous.
    #[serde(default = "of_discrete_actions")]
    pub gaussian: Covariance,
    /// Observations and actions of the environment.
    pub env_spec: EnvSpec,
    /// Updates that the optimizer's statistics of each of their owners have seen; none in older files.
    #[serde(default)]
    pub optimizer_counts: Vec<u64>,
    /// Scalars of the actors; none in formats 1 and 2.
    #[serde(default)]
    pub actors: Vec<ActorMeta>,
}

/// Covariance of checkpoints in format 1, which do not name one.
fn of_discrete_actions() -> Covariance {
    Covariance::Spherical
}

/// A checkpoint in memory.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The scalars.
    pub meta: CheckpointMeta,
    /// theta, theta_target and the optimizer's statistics.
    pub parameters: Snapshot,
    /// Statistics by which observations are normalised.
    pub observations: Option<Moments>,
    /// Statistics by which rewards are scaled.
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
        let Snapshot { theta, theta_target, statistics, counts } = &self.parameters;
        let target = theta_target.iter().map(|values| (THETA_TARGET, values));
        let statistics = statistics.iter().map(|(name, values)| (name.as_str(), values));
        let mut file = Writer::default();
        for (group, values) in [(THETA, theta)].into_iter().chain(target).chain(statistics) {
            for param in &net.layout().params {
                file.add(format!("{group}.{}", param.name), &param.shape, &param.export(values));
            }
        }
        for (group, moments) in [(OBSERVATIONS, &self.observations), (RETURNS, &self.returns)] {
            for (name, values) in moments.iter().flat_map(|moments| moments.parts()) {
                file.add(format!("{group}.{name}"), &[values.len()], values);
            }
        }
        self.actors.iter().enumerate().for_each(|(actor, state)| actor::write(state, actor, &mut file));
        let (returns, lengths) = self.window.to_vecs();
        file.add(WINDOW_RETURNS.into(), &[returns.len()], &returns);
        file.add(WINDOW_LENGTHS.into(), &[lengths.len()], &lengths);
        file.add(LOGGED.into(), &[self.logged.as_slice().len()], self.logged.as_slice());
        let actors = self.actors.iter().map(|actor| actor.meta.clone()).collect();
        let meta = CheckpointMeta { actors, optimizer_counts: counts.clone(), ..self.meta.clone() };
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
        let target = setup.config.algo.row().reads_target.then_some(THETA_TARGET);
        let groups: BTreeSet<&str> =
            file.names().into_iter().filter_map(group_of).chain([THETA]).chain(target).collect();
        let values = |group: &str| Ok::<_, String>((group.to_owned(), read_group(file, group, net)?));
        let mut groups: BTreeMap<_, _> = groups.into_iter().map(values).collect::<Result<_, _>>()?;
        let observations = read_moments(file, OBSERVATIONS, net.input().len())?;
        let mut actors = Vec::with_capacity(meta.actors.len());
        for (actor, numbers) in meta.actors.iter().enumerate().take(setup.config.actors) {
            let mut state = new_actor(setup, observations.as_ref(), None);
            actor::read(&mut state, actor, numbers.clone(), file, setup.env.actions)?;
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
            parameters: Snapshot {
                theta: groups.remove(THETA).unwrap_or_default(),
                theta_target: groups.remove(THETA_TARGET),
                statistics: groups.into_iter().collect(),
                counts: meta.optimizer_counts.clone(),
            },
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
    if let Some(most) = counts.iter().chain(&meta.optimizer_counts).find(|count| **count > MOST_COUNTED) {
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
