use serde_json::Value;

use super::*;

/// A Service with these annotations, of the template and of itself.
fn service(scale: &Value, notes: &Value) -> Level {
    let service = json!({
        "apiVersion": "serving.knative.dev/v1", "kind": "Service",
        "metadata": { "name": "spike", "resourceVersion": "7", "annotations": notes },
        "spec": { "template": { "metadata": { "annotations": scale }, "spec": { "containers": [] } } },
        "status": {},
    });
    read(&serde_json::from_value(service).unwrap()).unwrap()
}

#[test]
fn what_the_operator_wrote_is_their_own() {
    let level = service(&json!({ MIN_SCALE: "2", MAX_SCALE: "9" }), &json!({}));
    let expected = Level {
        own: Some(2),
        at: 2,
        at_most: Some(9),
        noted: false,
        version: "7".to_owned(),
    };
    assert_eq!(level, expected);
}

#[test]
fn a_service_without_annotations_has_none() {
    let bare = json!({ "metadata": { "resourceVersion": "7" }, "spec": { "template": {} } });
    let level = read(&serde_json::from_value(bare).unwrap()).unwrap();
    assert_eq!((level.own, level.at, level.at_most), (None, 0, None));
    let unbounded = service(&json!({ MAX_SCALE: "0" }), &json!({}));
    assert_eq!(unbounded.at_most, None);
}

#[test]
fn what_we_wrote_is_undone_to_what_was_there() {
    for before in [json!({ MIN_SCALE: "2" }), json!({})] {
        let level = service(&before, &json!({ "team": "shop" }));
        let raised = patch(&level, 10);
        let scale = &raised["spec"]["template"]["metadata"]["annotations"];
        let notes = &raised["metadata"]["annotations"];
        assert_eq!(
            (&scale[MIN_SCALE], notes.as_object().unwrap().len()),
            (&json!("10"), 1)
        );
        assert_eq!(raised["metadata"]["resourceVersion"], "7");

        let level = service(scale, notes);
        assert_eq!((level.at, level.noted), (10, true));
        let undone = patch(&level, level.own.unwrap_or(0));
        let scale = &undone["spec"]["template"]["metadata"]["annotations"][MIN_SCALE];
        assert_eq!(scale, before.get(MIN_SCALE).unwrap_or(&Value::Null));
        assert_eq!(undone["metadata"]["annotations"][NOTE], Value::Null);
    }
}

#[test]
fn what_the_operator_wrote_after_us_is_their_own_again() {
    let note = json!({ NOTE: json!({ "before": "0", "set": "10" }).to_string() });
    let level = service(&json!({ MIN_SCALE: "4" }), &note);
    assert_eq!((level.own, level.at, level.noted), (Some(4), 4, true));
    let removed = service(&json!({}), &note);
    assert_eq!((removed.own, removed.at), (None, 0));
}

#[test]
fn a_note_that_cannot_be_read_undoes_nothing() {
    let level = service(&json!({ MIN_SCALE: "4" }), &json!({ NOTE: "?" }));
    assert_eq!((level.own, level.noted), (Some(4), true));
}

#[test]
fn a_scale_that_is_no_number_is_an_error() {
    let odd = json!({
        "metadata": {}, "spec": { "template": { "metadata": { "annotations": { MIN_SCALE: "many" } } } },
    });
    let read = read(&serde_json::from_value(odd).unwrap());
    assert!(matches!(read, Err(CapacityError::Unreadable(_))));
}
