use std::collections::HashSet;

use super::*;

#[test]
fn what_is_not_started_measures_nothing() {
    CONFLICTS.add(1, [&"a spike"]);
    QUEUE_LAG.record(1.0, []);
    FREE.replace([("a spike".to_owned(), 1.0)]);
    assert!(STOCK.begin().is_stopped());
    assert!(!FREE.is_on());
    assert_eq!(traceparent(), None);
}

#[test]
fn names_are_unique_and_ids_of_orders_and_users_are_no_attributes() {
    let names: HashSet<_> = ALL.iter().map(|about| about.name).collect();
    assert_eq!(names.len(), ALL.len());
    for about in ALL {
        assert!(about.name.starts_with("spike."), "{}", about.name);
        for unbounded in ["order.id", "user.id", "unit"] {
            assert!(!about.attributes.contains(&unbounded), "{}", about.name);
        }
    }
}

/// Between "Instruments" and the end, a row of the table for each instrument, and none besides.
#[test]
fn the_operators_table_lists_every_instrument_as_it_is() {
    let guide = include_str!("../../../docs/operations.md");
    let rows = guide.lines().filter(|line| line.starts_with("| `spike."));
    let listed: Vec<Vec<String>> = rows
        .map(|row| {
            let cells = row.trim_matches('|').split('|').take(4);
            cells.map(|cell| cell.trim().replace('`', "")).collect()
        })
        .collect();
    let instruments: Vec<Vec<String>> = ALL
        .iter()
        .map(|about| {
            let kind = format!("{:?}", about.kind).to_lowercase();
            let attributes = about.attributes.join(", ");
            vec![
                about.name.to_owned(),
                kind,
                about.unit.to_owned(),
                attributes,
            ]
        })
        .collect();
    assert_eq!(listed, instruments);
}
