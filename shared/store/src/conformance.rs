//! What every adapter of [`Store`](crate::Store) must do: one function per promise of the port.
//!
//! A promise is tested on a store that others may be using, so each function makes its own spikes, users and orders and
//! looks only at those. Listings that may lag are asked until they have caught up. A broken promise panics.
#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "these are tests that adapters share; a broken promise panics"
)]

pub mod dead_letters;
pub mod ending;
pub mod listings;
pub mod money;
pub mod placing;
pub mod races;
pub mod samples;
pub mod sessions;
pub mod spikes;
pub mod users;

/// One test per promise, each on a store of its own from `$store`, an async function that answers with a store and its
/// guard.
#[macro_export]
macro_rules! promises {
    ($store:path; $($group:ident: $($promise:ident),+;)+) => {$($(
        #[tokio::test(flavor = "multi_thread")]
        async fn $promise() {
            let (store, _guard) = $store().await;
            $crate::conformance::$group::$promise(&store).await;
        }
    )+)+};
    ($store:path) => {
        $crate::promises! { $store;
            users: an_account_is_read_back_as_it_was_added, a_name_has_one_account, of_many_who_want_a_name_one_gets_it,
                a_taken_name_does_not_harm_its_neighbours, an_account_is_replaced_only_by_its_next_version,
                accounts_are_found_by_name, accounts_are_listed_once_each;
            sessions: a_token_rotates_once, fault_26_a_spent_token_revokes_its_family, a_token_raced_for_rotates_once,
                a_revoked_session_is_over, failed_logins_are_counted_for_a_day, of_many_who_saw_the_same_failures_one_counts;
            spikes: a_spike_is_read_back_as_it_was_added, an_admin_writes_only_over_what_they_have_seen,
                a_spike_is_deleted_only_as_it_was_seen, a_write_that_leaves_the_top_alone_is_not_starved,
                a_raise_does_not_count_on_units_that_were_just_retired,
                only_what_was_seen_is_marked, a_load_brings_a_shelved_spike_back, epochs_count_up, spikes_are_listed_live_ones_first,
                a_unit_is_retired_only_while_the_target_is_not_met, fault_21_racing_retirements_stop_at_the_target;
            placing: a_placed_order_holds_its_units, an_order_that_is_there_is_the_first_reason,
                a_buyer_has_one_live_order, taken_units_name_their_true_holders,
                neighbours_in_a_batch_are_not_harmed, a_batch_of_any_size_is_answered_in_its_order,
                a_rejected_order_holds_nothing, claims_are_found_in_long_ranges;
            ending: a_paid_order_keeps_its_units, an_ended_order_frees_all_it_held,
                fault_05_a_late_duplicate_revives_nothing, fault_19_cancelling_again_answers_the_same,
                only_ended_orders_are_marked_released, an_unreleased_order_can_be_postponed, what_is_due_is_found_by_its_time;
            money: a_refund_is_recorded_once, refunds_are_listed_newest_first;
            listings: a_users_orders_are_listed_newest_first, a_spikes_newest_order_is_found_among_many,
                orders_are_read_by_their_ids, what_is_no_cursor_is_refused;
            races: of_many_who_want_a_unit_one_gets_it, a_buyer_who_tries_many_times_gets_one_order,
                one_order_placed_many_times_is_written_once, overlapping_orders_never_share_a_unit,
                fault_18_of_pay_cancel_and_expire_one_wins, a_unit_freed_and_taken_again_has_one_holder;
            dead_letters: a_letter_is_kept_once, a_letter_that_comes_back_is_undelivered,
                letters_are_listed_newest_first;
        }
    };
}
