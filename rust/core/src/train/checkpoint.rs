//! Checkpoints: safetensors files that survive a power cut, readable by anything and executed by nothing.
//!
//! `theta.<layer>.weight` and so on in canonical order, `theta_target.<...>` where there is one, and the optimizer's statistics under
//! their names: `g.<...>` for shared RMSProp, `g.actor0.<...>` or `m.actor0.<...>` where each actor has its own; in F64 the running
//! statistics `observations.{count,mean,m2}` and `returns.{count,mean,m2}` where there are such. Scalars are string metadata.

use super::config::Algo;
use super::error::TrainError;
use super::normalise::Moments;
use super::setup::Setup;
use crate::env::{ActionSpec, EnvSpec};
use crate::nn::{Net, Network};
use crate::rl::Covariance;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Files of a newer format are refused, of an older one read for ever. Format 1 knew discrete actions alone, and no running statistics.
pub const FORMAT_VERSION: u32 = 2;

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
    /// Its covariance, where actions are continuous.
    #[serde(default = "of_discrete_actions")]
    pub gaussian: Covariance,
    /// Its input and its actions.
    pub env_spec: EnvSpec,
}

/// What format 1 says nothing of, because it says nothing.
fn of_discrete_actions() -> Covariance {
    Covariance::Spherical
}

/// A checkpoint in memory. Vectors are laid out as theta.
#[derive(Clone, Debug, PartialEq)]
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
}

/// The groups of tensors, each laid out as theta; the others are the optimizer's.
const THETA: &str = "theta";
const THETA_TARGET: &str = "theta_target";
/// The groups of running statistics.
const OBSERVATIONS: &str = "observations";
const RETURNS: &str = "returns";

impl Checkpoint {
    /// The file's bytes.
    fn to_bytes(&self, net: &Network) -> Result<Vec<u8>, String> {
        let target = self.theta_target.iter().map(|values| (THETA_TARGET, values));
        let statistics = self.statistics.iter().map(|(name, values)| (name.as_str(), values));
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (group, values) in [(THETA, &self.theta)].into_iter().chain(target).chain(statistics) {
            for param in &net.layout().params {
                let bytes = param.export(values).iter().flat_map(|x| x.to_le_bytes()).collect();
                tensors.push((format!("{group}.{}", param.name), Dtype::F32, param.shape.clone(), bytes));
            }
        }
        for (group, moments) in [(OBSERVATIONS, &self.observations), (RETURNS, &self.returns)] {
            for (name, values) in moments.iter().flat_map(|moments| moments.parts()) {
                let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
                tensors.push((format!("{group}.{name}"), Dtype::F64, vec![values.len()], bytes));
            }
        }
        let mut views = Vec::with_capacity(tensors.len());
        for (name, dtype, shape, bytes) in &tensors {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(|e| e.to_string())?;
            views.push((name.as_str(), view));
        }
        let meta = serde_json::to_string(&self.meta).map_err(|e| e.to_string())?;
        let metadata = HashMap::from([(META_KEY.to_owned(), meta)]);
        safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())
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

    /// Reads a checkpoint of `net`.
    pub fn load(path: &Path, net: &Network) -> Result<Self, TrainError> {
        let unusable = |reason: String| TrainError::Checkpoint { path: path.to_path_buf(), reason };
        let bytes = std::fs::read(path).map_err(|e| unusable(format!("it cannot be read ({e})")))?;
        let meta = parse_meta(&bytes).map_err(unusable)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| unusable(damaged(e)))?;
        let (mut theta_target, mut statistics) = (None, Vec::new());
        let first_param = net.layout().params.first().map_or("", |param| &param.name);
        for name in file.names() {
            let Some(group) = name.strip_suffix(first_param).and_then(|name| name.strip_suffix('.')) else { continue };
            match group {
                THETA => (),
                THETA_TARGET => theta_target = Some(read_group(&file, group, net).map_err(unusable)?),
                _ => statistics.push((group.to_owned(), read_group(&file, group, net).map_err(unusable)?)),
            }
        }
        let theta = read_group(&file, THETA, net).map_err(unusable)?;
        let observations = read_moments(&file, OBSERVATIONS, net.input().len()).map_err(unusable)?;
        let returns = read_moments(&file, RETURNS, 1).map_err(unusable)?;
        Ok(Checkpoint { meta, theta, theta_target, statistics, observations, returns })
    }
}

/// The scalars of the checkpoint at `path`.
pub fn read_meta(path: &Path) -> Result<CheckpointMeta, TrainError> {
    let unusable = |reason| TrainError::Checkpoint { path: path.to_path_buf(), reason };
    let bytes = std::fs::read(path).map_err(|e| unusable(format!("it cannot be read ({e})")))?;
    parse_meta(&bytes).map_err(unusable)
}

fn damaged(error: impl std::fmt::Display) -> String {
    format!("the file is damaged or not a checkpoint ({error})")
}

fn parse_meta(bytes: &[u8]) -> Result<CheckpointMeta, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let meta = header.metadata().as_ref().and_then(|m| m.get(META_KEY));
    let meta = meta.ok_or("it is a safetensors file, but not a checkpoint of a3crs")?;
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }
    let Version { format_version } = serde_json::from_str(meta).map_err(damaged)?;
    if format_version > FORMAT_VERSION {
        return Err(format!(
            "it has format {format_version}, this a3crs reads up to {FORMAT_VERSION}; use a newer a3crs"
        ));
    }
    serde_json::from_str(meta).map_err(damaged)
}

fn read_group(file: &SafeTensors, group: &str, net: &Network) -> Result<Vec<f32>, String> {
    let mut values = vec![0.0; net.layout().len()];
    for param in &net.layout().params {
        let name = format!("{group}.{}", param.name);
        let tensor = file.tensor(&name).map_err(|_| format!("it has no tensor {name}: another network or method"))?;
        if tensor.shape() != param.shape || tensor.dtype() != Dtype::F32 {
            return Err(format!(
                "its tensor {name} is {:?} {:?}, this run needs F32 {:?}",
                tensor.dtype(),
                tensor.shape(),
                param.shape
            ));
        }
        let canonical: Vec<f32> =
            tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if let Some(bad) = canonical.iter().find(|x| !x.is_finite()) {
            return Err(format!("its tensor {name} contains {bad}"));
        }
        param.import(&canonical, &mut values);
    }
    Ok(values)
}

/// The statistics of `group` over vectors of length `dims`; none where the file has none.
fn read_moments(file: &SafeTensors, group: &str, dims: usize) -> Result<Option<Moments>, String> {
    if file.tensor(&format!("{group}.count")).is_err() {
        return Ok(None);
    }
    let read = |name: &str, len: usize| {
        let name = format!("{group}.{name}");
        let tensor = file.tensor(&name).map_err(|_| format!("it has no tensor {name}"))?;
        let bytes = tensor.data().as_chunks().0.iter();
        let values: Vec<f64> = bytes.map(|b| f64::from_le_bytes(*b)).collect();
        match tensor.dtype() == Dtype::F64 && values.len() == len && values.iter().all(|x| x.is_finite()) {
            true => Ok(values),
            false => Err(format!("its tensor {name} is not {len} finite numbers in F64")),
        }
    };
    Ok(Some(Moments { count: read("count", 1)?[0], mean: read("mean", dims)?, m2: read("m2", dims)? }))
}

fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)] // as any other file: the umask decides, not a temporary file's privacy
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.prefix(".checkpoint-").tempfile_in(dir)?;
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
    /// `checkpoints/` of a run directory, created if need be.
    pub fn create(run_dir: &Path) -> Result<Self, TrainError> {
        let dir = run_dir.join("checkpoints");
        std::fs::create_dir_all(&dir).map_err(TrainError::io("create", &dir))?;
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
