//! Dependencies between the modules of the core.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules, each with the modules it may use.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("kernel", &[]),
    ("env", &["rl"]), // the small environments use the actors' random number generator
    ("rl", &["catalogue"]),
    ("shared", &["kernel", "catalogue", "sync"]),
    ("nn", &["kernel", "env", "catalogue"]),
    ("train", &["kernel", "env", "rl", "shared", "nn", "catalogue", "sync"]),
];

/// Modules of `train` in order; each may use those before it.
const TRAIN: [&str; 9] = ["error", "config", "turns", "log", "setup", "learn", "save", "run", "play"];

fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| sources(&path)).collect()
}

/// Returns the files of the module `room` in `dir`: `room.rs` and all below `room/`.
fn files_of(dir: &Path, room: &str) -> Vec<PathBuf> {
    let all = sources(dir).into_iter();
    all.filter(|path| path.starts_with(dir.join(room)) || *path == dir.join(format!("{room}.rs"))).collect()
}

/// Returns the paths below `crate::` that a file names outside its tests. Groups in braces are expanded: `crate::a::{b,
/// c::d}` is `a::b` and `a::c::d`.
fn used(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap().split("#[cfg(all(test").next().unwrap();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    code.split("crate::").skip(1).flat_map(written_out).collect()
}

fn written_out(text: &str) -> Vec<String> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        return members(group).into_iter().flat_map(written_out).collect();
    }
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    match text[name.len()..].strip_prefix("::") {
        Some(rest) if !name.is_empty() => {
            written_out(rest).into_iter().map(|below| format!("{name}::{below}")).collect()
        }
        _ => vec![name],
    }
}

/// Returns the members of a group, up to the brace that closes it.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => (),
        }
    }
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

#[test]
fn groups_in_braces_are_read_too() {
    assert_eq!(written_out("{nn, rl::Algo}; rest"), ["nn", "rl::Algo"]);
    assert_eq!(
        written_out("train::{log::{Report, Stat}, Host};"),
        ["train::log::Report", "train::log::Stat", "train::Host"]
    );
    assert_eq!(written_out("kernel::Isa> {"), ["kernel::Isa"]);
}

#[test]
fn a_room_uses_only_the_rooms_it_may() {
    let mut arrows = 0;
    for (room, allowed) in MAY_USE {
        for file in files_of(&source_dir(), room) {
            for path in used(&file) {
                let first = path.split("::").next().unwrap();
                let is_room = first.chars().next().is_some_and(char::is_lowercase);
                assert!(
                    first == room || !is_room || allowed.contains(&first),
                    "{} uses crate::{path}, which {room} may not",
                    file.display()
                );
                arrows += 1;
            }
        }
    }
    assert!(arrows > 100, "only {arrows} uses were found: this test looks in the wrong place");
}

#[test]
fn the_rooms_of_train_use_those_below_them() {
    let (dir, mut arrows) = (source_dir().join("train"), 0);
    for (floor, room) in TRAIN.iter().enumerate() {
        for file in files_of(&dir, room) {
            for path in used(&file) {
                let mut parts = path.split("::").skip_while(|part| *part != "train").skip(1);
                let Some(used) = parts.next().filter(|part| part.chars().next().is_some_and(char::is_lowercase)) else {
                    continue; // of another module of the crate, or `train::Host`, which every module may use
                };
                let below = &TRAIN[..=floor];
                assert!(below.contains(&used), "{} uses train::{used}, which is not below {room}", file.display());
                arrows += 1;
            }
        }
    }
    assert!(arrows > 50, "only {arrows} uses were found: this test looks in the wrong place");
    let entries = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let rooms = entries.filter(|path| path.is_dir() || path.extension().is_some_and(|kind| kind == "rs"));
    for room in rooms.map(|path| path.file_stem().unwrap().to_owned()).filter(|room| room != "mod") {
        assert!(TRAIN.iter().any(|known| room == *known), "train/{} is no room of this test", room.display());
    }
}

#[test]
fn no_source_file_is_longer_than_400_lines() {
    for file in sources(&source_dir()).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs")) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines", file.display());
    }
}

#[test]
fn unsafe_is_found_in_the_kernels_and_the_store_alone() {
    let src = source_dir();
    for file in sources(&src) {
        let name = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        let allowed = name.starts_with("kernel/") || name.starts_with("shared/store");
        let text = fs::read_to_string(&file).unwrap();
        let found = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("unsafe "));
        assert!(allowed || !found, "{name} contains unsafe code");
    }
}
