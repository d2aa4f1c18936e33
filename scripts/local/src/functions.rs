//! Every function, given what it needs: the one place that sees all of them.

use std::sync::Arc;

use auth::{Authenticator, KeySet, Passwords, PathTokens, SigningKey};
use axum::Router;
use domain::Clock;
use events::EventSink;
use payments::Payments;
use runtime::Live;
use stock::Stock;
use store::Store;
use utoipa::openapi::OpenApi;

/// What the functions share when they run in one process.
pub struct Parts {
    /// The durable store.
    pub store: Arc<dyn Store>,
    /// The stock in Redis.
    pub stock: Stock,
    /// The machine's clock.
    pub clock: Clock,
    /// The public keys of access tokens.
    pub keys: KeySet,
    /// Signs access tokens; it names their issuer.
    pub signing_key: Arc<SigningKey>,
    /// Makes and checks path tokens.
    pub path_tokens: PathTokens,
    /// The payment provider.
    pub payments: Arc<dyn Payments>,
    /// How often buyers may try.
    pub rates: Live<spike::Rates>,
}

/// What the broker delivers to.
pub fn events(parts: &Parts) -> Router {
    let writer = order_writer::AppState::new(Arc::clone(&parts.store), parts.stock.clone());
    order_writer::router(writer).merge(dead_letter::events(
        Arc::clone(&parts.store),
        Arc::clone(&parts.clock),
    ))
}

/// What is reached from inside only: events and timers.
pub fn private(parts: &Parts, sink: Arc<dyn EventSink>) -> Router {
    let sweeper = sweeper::AppState::new(
        Arc::clone(&parts.store),
        parts.stock.clone(),
        sink,
        Arc::clone(&parts.payments),
    );
    events(parts).merge(sweeper::router(sweeper))
}

/// What anybody may reach.
pub fn public(parts: &Parts, sink: Arc<dyn EventSink>) -> anyhow::Result<Router> {
    let authenticator = Authenticator {
        verifier: Arc::new(auth::Verifier::new(
            &parts.keys,
            parts.signing_key.issuer(),
            parts.stock.clock(),
        )?),
    };
    let router = accounts(parts)
        .merge(catalogue(parts, &authenticator))
        .merge(purchase(parts, &authenticator, Arc::clone(&sink)))
        .merge(orders(parts, &authenticator))
        .merge(operation(parts, &authenticator, sink))
        .merge(web::router());
    Ok(router)
}

/// Who the users are.
fn accounts(parts: &Parts) -> Router {
    // One core less than there are: here those who register share the machine with those who buy, and a hash keeps a
    // core busy for tens of milliseconds.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let passwords = Passwords::new((cores - 1).clamp(1, 64));
    let (store, clock) = (&parts.store, &parts.clock);
    register::router(register::AppState {
        store: Arc::clone(store),
        passwords: passwords.clone(),
        clock: Arc::clone(clock),
    })
    .merge(login::router(login::AppState {
        store: Arc::clone(store),
        passwords,
        signing_key: Arc::clone(&parts.signing_key),
        clock: Arc::clone(clock),
    }))
    .merge(refresh::router(refresh::AppState {
        store: Arc::clone(store),
        signing_key: Arc::clone(&parts.signing_key),
        clock: Arc::clone(clock),
    }))
    .merge(keys::router(keys::AppState {
        keys: Arc::new(parts.keys.clone()),
        issuer: parts.signing_key.issuer().into(),
    }))
}

/// What is on sale, and for whom.
fn catalogue(parts: &Parts, authenticator: &Authenticator) -> Router {
    let (store, stock, clock) = (&parts.store, &parts.stock, &parts.clock);
    let list = spike_list::AppState::new(Arc::clone(store), stock.clone(), clock);
    let access = access_check::AppState::new(
        Arc::clone(store),
        stock.clone(),
        authenticator.clone(),
        clock,
    );
    spike_list::router(list).merge(access_check::router(access))
}

/// The hot path.
fn purchase(parts: &Parts, authenticator: &Authenticator, sink: Arc<dyn EventSink>) -> Router {
    let token = spike_token::AppState::new(
        parts.stock.clone(),
        authenticator.clone(),
        parts.path_tokens.clone(),
        Arc::clone(&parts.clock),
    );
    let spike = spike::AppState::new(spike::Parts {
        store: Arc::clone(&parts.store),
        stock: parts.stock.clone(),
        sink,
        verifier: Arc::clone(&authenticator.verifier),
        path_tokens: parts.path_tokens.clone(),
        clock: Arc::clone(&parts.clock),
        random: Arc::new(auth::random),
        rates: parts.rates.clone(),
    });
    spike_token::router(token).merge(spike::router(spike))
}

/// What becomes of orders.
fn orders(parts: &Parts, authenticator: &Authenticator) -> Router {
    let (store, stock) = (&parts.store, &parts.stock);
    order_query::router(order_query::AppState {
        store: Arc::clone(store),
        stock: stock.clone(),
        authenticator: authenticator.clone(),
    })
    .merge(order_pay::router(order_pay::AppState {
        store: Arc::clone(store),
        payments: Arc::clone(&parts.payments),
        authenticator: authenticator.clone(),
        clock: Arc::clone(&parts.clock),
    }))
    .merge(order_cancel::router(order_cancel::AppState {
        store: Arc::clone(store),
        stock: stock.clone(),
        payments: Arc::clone(&parts.payments),
        authenticator: authenticator.clone(),
    }))
}

/// What operators do.
fn operation(parts: &Parts, authenticator: &Authenticator, sink: Arc<dyn EventSink>) -> Router {
    let (store, clock) = (&parts.store, &parts.clock);
    admin_spikes::router(admin_spikes::AppState {
        store: Arc::clone(store),
        stock: parts.stock.clone(),
        authenticator: authenticator.clone(),
    })
    .merge(admin_users::router(admin_users::AppState {
        store: Arc::clone(store),
        authenticator: authenticator.clone(),
        clock: Arc::clone(clock),
    }))
    .merge(dead_letter::router(dead_letter::AppState {
        store: Arc::clone(store),
        sink,
        authenticator: authenticator.clone(),
        clock: Arc::clone(clock),
    }))
}

/// The documents of all functions with public routes, by the functions' names.
#[must_use]
pub fn documents() -> Vec<(&'static str, OpenApi)> {
    vec![
        ("register", register::openapi()),
        ("login", login::openapi()),
        ("refresh", refresh::openapi()),
        ("keys", keys::openapi()),
        ("spike-list", spike_list::openapi()),
        ("access-check", access_check::openapi()),
        ("spike-token", spike_token::openapi()),
        ("spike", spike::openapi()),
        ("order-query", order_query::openapi()),
        ("order-pay", order_pay::openapi()),
        ("order-cancel", order_cancel::openapi()),
        ("admin-spikes", admin_spikes::openapi()),
        ("admin-users", admin_users::openapi()),
        ("dead-letter", dead_letter::openapi()),
        ("web", web::openapi()),
    ]
}
