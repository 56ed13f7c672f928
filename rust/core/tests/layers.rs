//! The architecture, held: who may use whom.

use std::fs;
use std::path::{Path, PathBuf};

/// A room and the rooms it may use.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("kernel", &[]),
    ("env", &["rl"]), // the tiny environments draw from the actors' kind of random stream
    ("rl", &[]),
    ("shared", &["kernel", "catalogue", "sync"]),
    ("nn", &["kernel", "env", "catalogue"]),
    ("train", &["kernel", "env", "rl", "shared", "nn", "catalogue", "sync"]),
];

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| sources(&path)).collect()
}

#[test]
fn a_room_uses_only_the_rooms_it_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut arrows = 0;
    for (room, allowed) in MAY_USE {
        let files = sources(&src.join(room)).into_iter().chain(
            sources(&src)
                .into_iter()
                .filter(|path| path.parent() == Some(&src) && path.file_stem().is_some_and(|stem| stem == room)),
        );
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap(); // tests may look further
            for used in code.split("crate::").skip(1) {
                let used: String = used.chars().take_while(char::is_ascii_lowercase).collect();
                assert!(
                    used == room || used.is_empty() || allowed.contains(&used.as_str()),
                    "{} uses crate::{used}, which {room} may not",
                    file.display()
                );
                arrows += 1;
            }
        }
    }
    assert!(arrows > 20, "only {arrows} uses were found: this test looks in the wrong place");
}

#[test]
fn unsafe_is_found_in_the_kernels_and_the_store_alone() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&src) {
        let name = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        let allowed = name.starts_with("kernel/") || name.starts_with("shared/store");
        let text = fs::read_to_string(&file).unwrap();
        let found = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("unsafe "));
        assert!(allowed || !found, "{name} contains unsafe code");
    }
}
