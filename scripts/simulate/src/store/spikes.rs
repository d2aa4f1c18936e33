//! Spikes.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{Spike, SpikeId, Unit};
use store::{Error, Holder, Mark, Page, Retirement, Spikes};

use super::{MemoryStore, page};
use crate::mutation::Mutation;

#[async_trait]
impl Spikes for MemoryStore {
    async fn add_spike(&self, spike: &Spike) -> Result<bool, Error> {
        self.step(
            || format!("add spike {}", spike.id),
            |state| {
                let new = !state.spikes.contains_key(&spike.id);
                if new {
                    state.writes += 1;
                    state.spikes.insert(spike.id, spike.clone());
                }
                Ok(new)
            },
        )
        .await
    }

    async fn spike(&self, id: SpikeId) -> Result<Option<Spike>, Error> {
        self.step(
            || "spike".to_owned(),
            |state| Ok(state.spikes.get(&id).cloned()),
        )
        .await
    }

    async fn live_spikes(&self) -> Result<Vec<Spike>, Error> {
        self.step(
            || "live spikes".to_owned(),
            |state| {
                let live = by_end(state.listed.as_ref().map_or(&state.spikes, |it| &it.0));
                Ok(live.into_iter().filter(|spike| !spike.shelved).collect())
            },
        )
        .await
    }

    async fn spikes_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<Spike>, Error> {
        self.step(
            || "spikes".to_owned(),
            |state| {
                let mut listed = by_end(&state.spikes);
                listed.sort_by_key(|spike| spike.shelved);
                page(&listed, cursor, limit)
            },
        )
        .await
    }

    async fn replace_spike(&self, was: &Spike, now: &Spike) -> Result<bool, Error> {
        let forgets_the_top = self.is(Mutation::RaiseNotInTheStore);
        let counts_on_retired = self.is(Mutation::RaiseCountsOnRetired);
        self.step(
            || format!("replace spike by version {}", now.version),
            |state| {
                let Some(stored) = state.spikes.get_mut(&was.id) else {
                    return Ok(false);
                };
                let moves = now.top != was.top;
                let seen = stored.version == was.version
                    && stored.closed == was.closed
                    && if moves {
                        stored.top == was.top && stored.retired == was.retired
                    } else {
                        counts_on_retired || stored.live_units() >= now.settings.stock
                    };
                if seen {
                    *stored = Spike {
                        epoch: stored.epoch,
                        closed: stored.closed,
                        shelved: stored.shelved,
                        retired: if moves { now.retired } else { stored.retired },
                        top: if moves && !forgets_the_top {
                            now.top
                        } else {
                            stored.top
                        },
                        ..now.clone()
                    };
                    state.writes += 1;
                }
                Ok(seen)
            },
        )
        .await
    }

    async fn delete_spike(&self, id: SpikeId, version: u64) -> Result<bool, Error> {
        self.step(
            || "delete spike".to_owned(),
            |state| {
                let seen = state
                    .spikes
                    .get(&id)
                    .is_some_and(|spike| spike.version == version);
                if seen {
                    state.spikes.remove(&id);
                    state.writes += 1;
                }
                Ok(seen)
            },
        )
        .await
    }

    async fn next_epoch(&self, id: SpikeId) -> Result<Option<u64>, Error> {
        self.step(
            || "next epoch".to_owned(),
            |state| {
                let spike = state.spikes.get_mut(&id);
                Ok(spike.map(|spike| {
                    spike.epoch += 1;
                    spike.shelved = false;
                    spike.epoch
                }))
            },
        )
        .await
    }

    async fn mark_spike(&self, seen: &Spike, mark: Mark) -> Result<bool, Error> {
        self.step(
            || format!("mark spike {mark:?}"),
            |state| {
                let Some(spike) = state.spikes.get_mut(&seen.id) else {
                    return Ok(false);
                };
                let same = spike.version == seen.version;
                match mark {
                    Mark::Closed if same => spike.closed = true,
                    Mark::Shelved if same && spike.epoch == seen.epoch => spike.shelved = true,
                    Mark::Closed | Mark::Shelved => {}
                }
                Ok(match mark {
                    Mark::Closed => spike.closed,
                    Mark::Shelved => spike.shelved,
                })
            },
        )
        .await
    }

    async fn retire_unit(&self, id: SpikeId, unit: Unit) -> Result<Retirement, Error> {
        let ignores_target = self.is(Mutation::RetireBeyondTheTarget);
        self.step(
            || format!("retire unit {unit}"),
            |state| {
                if let Some(holder) = state.units.get(&(id, unit)) {
                    return Ok(Retirement::Taken(*holder));
                }
                let Some(spike) = state.spikes.get_mut(&id) else {
                    return Ok(Retirement::TargetMet);
                };
                if spike.live_units() <= spike.settings.stock && !ignores_target {
                    return Ok(Retirement::TargetMet);
                }
                spike.retired += 1;
                state.units.insert((id, unit), Holder::House);
                state.writes += 1;
                Ok(Retirement::Retired)
            },
        )
        .await
    }
}

fn by_end(spikes: &BTreeMap<SpikeId, Spike>) -> Vec<Spike> {
    let mut spikes: Vec<Spike> = spikes.values().cloned().collect();
    spikes.sort_by_key(|spike| (spike.settings.ends_at, spike.id));
    spikes
}
