#![allow(unused_variables)]
use async_trait::async_trait;
use domain::{Order, OrderId, Spike, SpikeId, Timestamp, Unit, Units, User, UserId, Username, order::{Payment, Refund, Transition}};
use super::DynamoStore;
use crate::port::*;
fn away() -> Error { Error::Unavailable("not built yet".into()) }
#[async_trait]
impl Users for DynamoStore {
    async fn add_users(&self, users: &[User]) -> Result<Vec<bool>, Error> { Err(away()) }
    async fn user(&self, id: UserId) -> Result<Option<User>, Error> { Err(away()) }
    async fn users_by_name(&self, names: &[Username]) -> Result<Vec<Option<User>>, Error> { Err(away()) }
    async fn replace_user(&self, user: &User) -> Result<bool, Error> { Err(away()) }
    async fn users_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<User>, Error> { Err(away()) }
}
#[async_trait]
impl Sessions for DynamoStore {
    async fn open_session(&self, session: &Session) -> Result<(), Error> { Err(away()) }
    async fn session(&self, token_hash: &str, now: Timestamp) -> Result<Option<Session>, Error> { Err(away()) }
    async fn rotate_session(&self, token_hash: &str, next: &Session, now: Timestamp) -> Result<Rotation, Error> { Err(away()) }
    async fn revoke_session(&self, token_hash: &str, now: Timestamp) -> Result<(), Error> { Err(away()) }
    async fn login_attempts(&self, name: &Username, now: Timestamp) -> Result<LoginAttempts, Error> { Err(away()) }
    async fn count_failed_login(&self, name: &Username, now: Timestamp) -> Result<LoginAttempts, Error> { Err(away()) }
    async fn clear_failed_logins(&self, name: &Username) -> Result<(), Error> { Err(away()) }
}
#[async_trait]
impl Spikes for DynamoStore {
    async fn add_spike(&self, spike: &Spike) -> Result<bool, Error> { Err(away()) }
    async fn spike(&self, id: SpikeId) -> Result<Option<Spike>, Error> { Err(away()) }
    async fn live_spikes(&self) -> Result<Vec<Spike>, Error> { Err(away()) }
    async fn spikes_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<Spike>, Error> { Err(away()) }
    async fn replace_spike(&self, was: &Spike, now: &Spike) -> Result<bool, Error> { Err(away()) }
    async fn delete_spike(&self, id: SpikeId, version: u64) -> Result<bool, Error> { Err(away()) }
    async fn next_epoch(&self, id: SpikeId) -> Result<Option<u64>, Error> { Err(away()) }
    async fn mark_spike(&self, id: SpikeId, mark: Mark) -> Result<(), Error> { Err(away()) }
    async fn retire_unit(&self, id: SpikeId, unit: Unit) -> Result<Retirement, Error> { Err(away()) }
}
#[async_trait]
impl Orders for DynamoStore {
    async fn place(&self, orders: &[Order]) -> Vec<Result<Placement, Error>> { orders.iter().map(|_| Err(away())).collect() }
    async fn reject(&self, order: &Order) -> Result<Rejection, Error> { Err(away()) }
    async fn order(&self, id: OrderId) -> Result<Option<Order>, Error> { Err(away()) }
    async fn orders(&self, ids: &[OrderId]) -> Result<Vec<Order>, Error> { Err(away()) }
    async fn live_order(&self, spike_id: SpikeId, user_id: UserId) -> Result<Option<Order>, Error> { Err(away()) }
    async fn newest_order(&self, spike_id: SpikeId, user_id: UserId) -> Result<Option<Order>, Error> { Err(away()) }
    async fn orders_page(&self, user_id: UserId, cursor: Option<&str>, limit: u32) -> Result<Page<Order>, Error> { Err(away()) }
    async fn pay(&self, id: OrderId, payment: &Payment) -> Result<Transitioned, Error> { Err(away()) }
    async fn end(&self, id: OrderId, transition: Transition, now: Timestamp) -> Result<Transitioned, Error> { Err(away()) }
    async fn mark_released(&self, id: OrderId) -> Result<(), Error> { Err(away()) }
    async fn refund(&self, id: OrderId, refund: &Refund) -> Result<Refunded, Error> { Err(away()) }
    async fn refunds_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<Order>, Error> { Err(away()) }
    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Order>, Error> { Err(away()) }
    async fn claims(&self, spike_id: SpikeId, first: Unit, last: Unit) -> Result<Vec<Claim>, Error> { Err(away()) }
    async fn claims_on(&self, spike_id: SpikeId, units: &Units) -> Result<Vec<Claim>, Error> { Err(away()) }
}
#[async_trait]
impl DeadLetters for DynamoStore {
    async fn add_dead_letter(&self, letter: &DeadLetter) -> Result<(), Error> { Err(away()) }
    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, Error> { Err(away()) }
    async fn dead_letters_page(&self, cursor: Option<&str>, limit: u32) -> Result<Page<DeadLetter>, Error> { Err(away()) }
    async fn mark_redriven(&self, id: &str, now: Timestamp) -> Result<bool, Error> { Err(away()) }
}
