use std::os::unix::fs::symlink;

use proptest::prelude::*;
use serde::Deserialize;
use tempfile::TempDir;

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    left: u32,
    right: u32,
}

const FIRST: &str = "# Two.\nleft = 10\nright = 200\n";
const OLD: Pair = Pair {
    left: 10,
    right: 200,
};

fn file() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tunables.toml");
    fs::write(&path, FIRST).unwrap();
    (dir, path)
}

async fn follow(path: &Path) -> (Follower<Pair>, Live<Pair>) {
    let (follower, live) = Follower::start(path.to_owned()).await.unwrap();
    assert_eq!(live.get(), OLD);
    (follower, live)
}

#[tokio::test]
async fn fault_34_a_broken_empty_missing_or_unknown_file_leaves_the_old_values() {
    let (_dir, path) = file();
    let (mut follower, live) = follow(&path).await;
    let broken = [
        ("", "are empty"),
        (" \n\n", "are empty"),
        ("left = 1\nright", "half written"),
        ("left = 1\nright = \n", "line 2"),
        ("left = 1\nright = -2\n", "line 2"),
        (
            "left = 1\nright = 2\nmiddle = 3\n",
            "unknown field `middle`",
        ),
        ("left = 1\n", "missing field `right`"),
        ("left = 1\nleft = 2\nright = 3\n", "duplicate key"),
        ("\u{0}\u{1}\n", "line 1"),
    ];
    for (nth, (text, problem)) in (1..).zip(broken) {
        fs::write(&path, text).unwrap();
        for _ in 0..3 {
            follower.look_again().await;
        }
        assert_eq!(live.get(), OLD, "{text:?}");
        assert_eq!(follower.refused_total, nth, "told once: {text:?}");
        let told = parse::<Pair>(text).unwrap_err().to_string();
        assert!(told.contains(problem), "{text:?}: {told}");
    }
    let told = follower.refused_total;
    fs::write(&path, [0xff, b'\n']).unwrap();
    follower.look_again().await;
    fs::write(&path, "#".repeat(65 * 1024)).unwrap();
    follower.look_again().await;
    fs::remove_file(&path).unwrap();
    follower.look_again().await;
    follower.look_again().await;
    fs::create_dir(&path).unwrap();
    follower.look_again().await;
    assert_eq!((live.get(), follower.refused_total), (OLD, told + 4));
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "left = 1\nright = 2\n").unwrap();
    follower.look_again().await;
    assert_eq!(live.get(), Pair { left: 1, right: 2 }, "and it is mended");
}

proptest! {
    #[test]
    fn fault_34_a_half_written_file_never_counts(cut in 0..FIRST.len()) {
        prop_assert!(parse::<Pair>(&FIRST[..cut]).is_err());
    }

    #[test]
    fn fault_34_no_text_makes_the_reader_panic(text in prop_oneof![any::<String>(), "((left|right|\\[|\\]|=|\"|'|[0-9._-]{1,20}|#|\n) ?){0,12}"]) {
        let _ = parse::<Pair>(&text);
        let _ = parse::<Pair>(&(text + "\n"));
    }

    #[test]
    fn values_survive_their_file(left in any::<u32>(), right in any::<u32>()) {
        let text = format!("left = {left}\nright = {right}\n");
        prop_assert_eq!(parse::<Pair>(&text).unwrap(), Pair { left, right });
    }
}

/// The texts that all parsers are put to the test with, one JSON string a line.
const CORPUS: &str = include_str!("../../../domain/corpus/texts.jsonl");

#[test]
fn fault_34_no_text_of_the_corpus_passes_for_values() {
    for text in CORPUS.lines() {
        let text: String = serde_json::from_str(text).unwrap();
        for text in [
            format!("{text}\n"),
            format!("{FIRST}{text}\n"),
            format!("left = 1\nright = {text}\n"),
        ] {
            if let Ok(values) = parse::<Pair>(&text) {
                assert!(values == OLD || values.left == 1, "{text:?}");
            }
        }
    }
}

/// What the kubelet does when a `ConfigMap` changes.
#[tokio::test]
async fn fault_34_a_swapped_symlink_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (version, text) in [("..1", FIRST), ("..2", "left = 3\nright = 4\n")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("tunables.toml"), text).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/tunables.toml", at("tunables.toml")).unwrap();
    let (mut follower, live) = follow(&at("tunables.toml")).await;
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    fs::remove_dir_all(at("..1")).unwrap();
    follower.look_again().await;
    assert_eq!(live.get(), Pair { left: 3, right: 4 });
    fs::remove_dir_all(at("..2")).unwrap();
    follower.look_again().await;
    assert_eq!(live.get(), Pair { left: 3, right: 4 }, "a dangling link");
    assert_eq!(follower.refused_total, 1);
}

#[tokio::test]
async fn fault_34_a_bad_file_stops_the_start_and_is_named() {
    let (_dir, path) = file();
    fs::write(&path, "left = 1\n").unwrap();
    let error = Live::<Pair>::follow(&path).await.unwrap_err().to_string();
    assert!(error.contains(&path.display().to_string()), "{error}");
    assert!(error.contains("missing field `right`"), "{error}");
    fs::remove_file(&path).unwrap();
    let error = Live::<Pair>::follow(&path).await.unwrap_err().to_string();
    assert!(
        error.ends_with("cannot be read: entity not found"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_is_followed_until_nobody_holds_its_values() {
    let (_dir, path) = file();
    let (follower, mut live) = follow(&path).await;
    let following = tokio::spawn(follower.run(Duration::from_millis(5)));
    fs::write(&path, "left = 5\nright = 6\n").unwrap();
    live.0.changed().await.unwrap();
    assert_eq!(live.get(), Pair { left: 5, right: 6 });
    drop(live);
    following.await.unwrap();
}
