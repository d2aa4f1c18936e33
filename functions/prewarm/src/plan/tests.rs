use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds {
    instances_max: 20,
    lead: Duration::from_mins(10),
    guard: Duration::from_mins(2),
};

fn at(mins: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + mins * 60_000)
}

fn id(number: u8) -> SpikeId {
    SpikeId::mint(at(0), [number; 10])
}

/// A sale from one minute to another, for so many buyers.
fn sale(number: u8, starts: i64, ends: i64, buyers: u32) -> Sale {
    Sale {
        id: id(number),
        starts_at: at(starts),
        ends_at: at(ends),
        buyers,
        over: false,
    }
}

fn sold_out(sale: Sale) -> Sale {
    Sale { over: true, ..sale }
}

/// Nobody has changed anything, and the operator wants so many.
fn own(instances: u32) -> Level {
    Level {
        own: Some(instances),
        at: instances,
        at_most: None,
        noted: false,
        version: String::new(),
    }
}

fn after(level: &Level, to: u32) -> Level {
    Level {
        at: to,
        noted: to != level.own.unwrap_or(0),
        ..level.clone()
    }
}

/// With a hundred buyers to an instance.
fn decide(now: Timestamp, sales: &[Sale], level: &Level) -> Step {
    step(now, sales, 100, &BOUNDS, level)
}

#[test]
fn capacity_is_raised_before_the_start_held_while_open_and_lowered_after_the_end() {
    let sales = [sale(1, 60, 70, 1000)];
    let (cold, warm) = (own(0), after(&own(0), 10));
    let cases = [
        (0, &cold, Step::Keep),
        (49, &cold, Step::Keep),
        (50, &cold, Step::Change(10)),
        (57, &cold, Step::Change(10)),
        (57, &warm, Step::Keep),
        (58, &cold, Step::Hold(id(1))),
        (58, &warm, Step::Keep),
        (60, &cold, Step::Hold(id(1))),
        (69, &warm, Step::Keep),
        (70, &warm, Step::Change(0)),
        (70, &cold, Step::Keep),
    ];
    for (minute, level, expected) in cases {
        assert_eq!(decide(at(minute), &sales, level), expected, "{minute}");
    }
}

#[test]
fn a_sale_that_is_sold_out_or_closed_is_over_before_its_end() {
    let sales = [sold_out(sale(1, 60, 70, 1000))];
    assert_eq!(decide(at(61), &sales, &after(&own(0), 10)), Step::Change(0));
}

#[test]
fn a_sale_without_expected_buyers_asks_for_nothing_and_stands_in_the_way() {
    let silent = sale(1, 0, 1000, 0);
    assert_eq!(decide(at(-5), &[silent], &own(0)), Step::Keep);
    let sales = [silent, sale(2, 60, 70, 1000)];
    assert_eq!(decide(at(50), &sales, &own(0)), Step::Hold(id(1)));
    // So capacity is there before the first of them opens.
    assert_eq!(decide(at(-10), &sales, &own(0)), Step::Change(10));
}

#[test]
fn buyers_of_sales_that_are_open_together_add_up() {
    let cases = [
        (
            "together",
            vec![sale(1, 10, 20, 300), sale(2, 15, 25, 400)],
            7,
        ),
        (
            "one after the other",
            vec![sale(1, 10, 20, 300), sale(2, 20, 25, 400)],
            4,
        ),
        (
            "the second opens before there is time for a change",
            vec![sale(1, 10, 20, 300), sale(2, 29, 40, 900)],
            9,
        ),
        (
            "the second opens much later",
            vec![sale(1, 10, 20, 300), sale(2, 31, 40, 900)],
            3,
        ),
        (
            "two inside a long one, one after the other",
            vec![
                sale(1, 10, 1000, 100),
                sale(2, 100, 110, 300),
                sale(3, 200, 210, 500),
            ],
            6,
        ),
        (
            "a sold-out one counts for nothing",
            vec![sold_out(sale(1, -5, 20, 800)), sale(2, 10, 40, 200)],
            2,
        ),
    ];
    for (what, sales, expected) in cases {
        assert_eq!(
            decide(at(5), &sales, &own(0)),
            Step::Change(expected),
            "{what}"
        );
    }
}

#[test]
fn a_part_of_an_instance_is_a_whole_one_and_no_number_is_above_its_bounds() {
    let few = [sale(1, 10, 20, 101)];
    assert_eq!(decide(at(5), &few, &own(0)), Step::Change(2));
    let many = [sale(1, 10, 20, u32::MAX), sale(2, 10, 20, u32::MAX)];
    assert_eq!(decide(at(5), &many, &own(0)), Step::Change(20));
    let bounded = Level {
        at_most: Some(7),
        ..own(0)
    };
    assert_eq!(decide(at(5), &many, &bounded), Step::Change(7));
}

#[test]
fn the_operator_s_own_number_is_never_undercut() {
    let small = [sale(1, 10, 20, 100)];
    assert_eq!(decide(at(5), &small, &own(3)), Step::Keep);
    // Not even where it is above our bound.
    let large = [sale(1, 10, 20, 100_000)];
    assert_eq!(decide(at(5), &large, &own(30)), Step::Keep);
}

#[test]
fn a_note_that_means_nothing_any_more_is_taken_away() {
    let noted = Level {
        noted: true,
        ..own(3)
    };
    assert_eq!(decide(at(0), &[], &noted), Step::Change(3));
}

fn any_sales() -> impl Strategy<Value = Vec<Sale>> {
    let one = (-200_i64..200, 1_i64..150, 0_u32..5000, any::<bool>());
    prop::collection::vec(one, 0..6).prop_map(|sales| {
        let numbered = (1..).zip(sales);
        numbered
            .map(|(number, (starts, lasts, buyers, over))| Sale {
                over,
                ..sale(number, starts, starts + lasts, buyers)
            })
            .collect()
    })
}

fn any_level() -> impl Strategy<Value = Level> {
    let own = prop::option::of(0_u32..40);
    (own, 0_u32..60, prop::option::of(1_u32..60), any::<bool>()).prop_map(
        |(own, at, at_most, noted)| Level {
            own,
            at,
            at_most,
            noted,
            version: String::new(),
        },
    )
}

proptest! {
    #[test]
    fn nothing_changes_while_a_sale_is_open_or_about_to_open(sales in any_sales(), level in any_level(), minute in -220_i64..220) {
        let now = at(minute);
        let busy = sales.iter().any(|sale| !sale.over && sale.starts_at <= now + BOUNDS.guard && now < sale.ends_at);
        let changes = matches!(decide(now, &sales, &level), Step::Change(_));
        prop_assert!(!(busy && changes));
    }

    #[test]
    fn what_is_asked_for_is_bounded(sales in any_sales(), level in any_level(), minute in -220_i64..220) {
        if let Step::Change(to) = decide(at(minute), &sales, &level) {
            let own = level.own.unwrap_or(0);
            let most = BOUNDS.instances_max.min(level.at_most.unwrap_or(u32::MAX));
            prop_assert!(own <= to && to <= most.max(own));
        }
    }

    #[test]
    fn a_second_run_finds_nothing_to_do(sales in any_sales(), level in any_level(), minute in -220_i64..220) {
        if let Step::Change(to) = decide(at(minute), &sales, &level) {
            prop_assert_eq!(decide(at(minute), &sales, &after(&level, to)), Step::Keep);
        }
    }

    /// Whatever a run left behind before it died, and whenever.
    #[test]
    fn after_all_sales_everything_is_the_operator_s_own(sales in any_sales(), level in any_level()) {
        let own = level.own.unwrap_or(0);
        let expected = if level.at == own && !level.noted { Step::Keep } else { Step::Change(own) };
        prop_assert_eq!(decide(at(1000), &sales, &level), expected);
    }

    /// Every minute one run, of which any may fail: at each start there is what that sale needs, if it was told in time.
    #[test]
    fn a_sale_that_stands_alone_opens_with_what_it_needs(starts in 20_i64..60, buyers in 1_u32..5000, failing in prop::collection::vec(any::<bool>(), 60)) {
        let sales = [sale(1, starts, starts + 90, buyers)];
        let mut level = own(0);
        let mut chances = 0;
        for (minute, fails) in (0..).zip(&failing) {
            let step = decide(at(minute), &sales, &level);
            if let (Step::Change(to), false) = (step, fails) {
                level = after(&level, to);
                chances += 1;
            }
        }
        prop_assert!(chances <= 1);
        let in_time = (starts - 10..starts - 2).any(|minute| usize::try_from(minute).is_ok_and(|minute| !failing[minute]));
        prop_assert_eq!(level.at, if in_time { buyers.div_ceil(100).min(20) } else { 0 });
    }
}
