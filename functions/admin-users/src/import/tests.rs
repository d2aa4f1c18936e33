use bytes::Bytes;
use domain::Role;
use futures::{StreamExt, stream};

use super::*;

async fn cut(frames: Vec<Vec<u8>>) -> Vec<(u64, Line)> {
    let frames = stream::iter(frames).map(|frame| Ok::<_, std::io::Error>(Bytes::from(frame)));
    let mut lines = Lines::new(Body::from_stream(frames));
    let mut found = Vec::new();
    while let Some(line) = lines.next().await.unwrap() {
        found.push(line);
    }
    found
}

fn whole(number: u64, text: &str) -> (u64, Line) {
    (number, Line::Whole(text.into()))
}

#[tokio::test]
async fn lines_are_the_same_wherever_frames_end() {
    let text = b"one\r\n\n  \ntwo\nthr\xc3\xa9e";
    let expected = [whole(1, "one"), whole(4, "two"), whole(5, "thrée")];
    for size in 1..=text.len() {
        assert_eq!(
            cut(text.chunks(size).map(<[u8]>::to_vec).collect()).await,
            expected,
            "{size}"
        );
    }
    assert_eq!(
        cut(vec![b"a\n".to_vec(), Vec::new(), b"b\n".to_vec()]).await,
        [whole(1, "a"), whole(2, "b")]
    );
    assert_eq!(cut(Vec::new()).await, []);
}

#[tokio::test]
async fn a_long_line_is_skipped_and_its_neighbours_are_not() {
    let long = |bytes: usize| "x".repeat(bytes);
    for end in ["\n", "\r\n"] {
        let text = format!(
            "a{end}{}{end}{}{end}b",
            long(16 * 1024),
            long(16 * 1024 + 1)
        );
        for size in [7, 1000, 1 << 20] {
            let lines = cut(text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect()).await;
            assert_eq!(
                lines,
                [
                    whole(1, "a"),
                    whole(2, &long(16 * 1024)),
                    (3, Line::TooLong),
                    whole(4, "b")
                ]
            );
        }
    }
}

#[test]
fn each_bad_line_has_its_reason() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$ZlJ0c1V2bkx4Q3dQaEtkUw$6eUQ2bVRNr0dHWXqnMFyYpX0mJo3lGzT8sA5cW1uKkE";
    let weak = hash.replace("m=19456", "m=4096");
    let deep = r#"{"username":"ada","attributes":{"a":[[[[]]]]}}"#;
    let cases = [
        (
            format!(r#"{{"username":"ada","password_hash":"{hash}"}}"#),
            None,
        ),
        (r#"{"username":"ada","roles":[]}"#.to_owned(), None),
        (
            r#"{"username":"ada","roles":["admin"]}"#.to_owned(),
            Some(BadLine::Role),
        ),
        (
            format!(r#"{{"username":"ada","password_hash":"{weak}"}}"#),
            Some(BadLine::Hash),
        ),
        (
            r#"{"username":"ada","password_hash":"secret"}"#.to_owned(),
            Some(BadLine::Hash),
        ),
        (deep.to_owned(), Some(BadLine::Attributes)),
        (
            r#"{"username":"ada","display_name":"a\nb"}"#.to_owned(),
            Some(BadLine::DisplayName),
        ),
        (
            r#"{"username":"ada","user_id":"1"}"#.to_owned(),
            Some(BadLine::Malformed),
        ),
        (
            r#"{"username":"ada","username":"bob"}"#.to_owned(),
            Some(BadLine::Malformed),
        ),
        (
            r#"{"username":"ada","attributes":{"a":1,"a":2}}"#.to_owned(),
            Some(BadLine::Malformed),
        ),
        (
            r#"{"username":"' OR 1=1"}"#.to_owned(),
            Some(BadLine::Malformed),
        ),
        ("[]".to_owned(), Some(BadLine::Malformed)),
        ("[".repeat(10_000), Some(BadLine::Malformed)),
    ];
    for (text, expected) in cases {
        let line = Line::Whole(text.clone().into_bytes());
        assert_eq!(entry(line, &[]).err(), expected, "{text:.60}");
    }
    assert_eq!(
        entry(Line::Whole(vec![0xff]), &[]).err(),
        Some(BadLine::Malformed)
    );
    assert_eq!(entry(Line::TooLong, &[]).err(), Some(BadLine::TooLong));
    let admin = Line::Whole(br#"{"username":"ada","roles":["admin","admin"]}"#.to_vec());
    assert_eq!(
        entry(admin, &[Role::Admin]).unwrap().roles,
        Some(vec![Role::Admin])
    );
}
