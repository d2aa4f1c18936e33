//! The purchase over a real Redis, the embedded store and a sink that answers as it is told.

mod race;
mod refusals;
mod shop;
mod wins;

#[test]
fn the_document_lists_the_route() {
    let document = crate::openapi();
    let route = &document.paths.paths["/spikes/{spike_id}/orders/{token}"];
    let statuses = &route.post.as_ref().unwrap().responses.responses;
    for status in [
        "202", "400", "401", "403", "404", "408", "409", "410", "413", "415", "422", "425", "429",
        "503",
    ] {
        assert!(statuses.contains_key(status), "{status}");
    }
}
