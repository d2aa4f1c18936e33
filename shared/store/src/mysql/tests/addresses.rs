use super::*;
use crate::{ConnectError, mysql::address};

#[test]
fn only_addresses_of_servers_are_taken() {
    let read = |url: &str| address::read(&url.parse().unwrap()).map(|address| address.connections);
    assert_eq!(read("mysql://spike:p%40ss@db:3306/spike"), Ok(8));
    assert_eq!(
        read("mysql://spike@db/spike?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem&connections=3"),
        Ok(3)
    );
    for url in [
        "mysql:spike",
        "mysql://db/spike",
        "mysql://spike@db",
        "mysql://spike@db/",
        "mysql://spike@db/spike/orders",
        "mysql://spike@db/spike?sslmode=REQUIRED",
        "mysql://spike@db/spike?ssl-mode=maybe",
        "mysql://spike@db/spike?connections=0",
        "mysql://spike@db/spike?connections=101",
        "mysql://sp%ffike@db/spike",
    ] {
        assert!(matches!(read(url), Err(ConnectError::Address(_))), "{url}");
    }
}

#[tokio::test]
async fn the_password_is_not_shown() {
    let url = "mysql://spike:geheim@127.0.0.1/spike".parse().unwrap();
    let store = MySqlStore::lazily(&url, USUAL).unwrap();
    let shown = format!("{store:?}");
    assert!(
        shown.starts_with("MySqlStore") && !shown.contains("geheim"),
        "{shown}"
    );
}
