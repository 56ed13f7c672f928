//! The folder of a run's checkpoints: which there are, and writing them so that they survive a power cut.

use super::checkpoint::Checkpoint;
use crate::nn::Network;
use crate::train::error::TrainError;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Prefix of files that are not complete yet.
const TEMPORARY: &str = ".checkpoint-";

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

/// Writes a temporary file, syncs it, renames it to `path` and syncs the folder.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
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
