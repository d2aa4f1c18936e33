//! Prices of what was counted.

use std::fmt;

use crate::{
    count::{Counted, Work},
    prices::Table,
};

/// Hours and minutes of a month.
const HOURS: f64 = 730.0;
const MINUTES: f64 = HOURS * 60.0;
/// What a buyer calls before and with an order, and afterwards.
const HOT: [&str; 3] = ["access-check", "spike-token", "spike"];
const AFTERWARDS: [&str; 1] = ["order-query"];
const WRITER: [&str; 1] = ["order-writer"];

/// Lines, each with an amount in USD.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bill(Vec<(&'static str, f64)>);

impl Bill {
    fn add(&mut self, line: &'static str, usd: f64) {
        match self.0.iter_mut().find(|(it, _)| *it == line) {
            Some((_, sum)) => *sum += usd,
            None => self.0.push((line, usd)),
        }
    }

    fn work(&mut self, work: Work, times: f64, table: &Table) {
        let prices = &table.prices;
        let million = times / 1e6;
        self.add("Lambda", million * work.invocations * prices.lambda_million);
        self.add("Lambda", times * work.gb_seconds * prices.lambda_gb_second);
        self.add("DynamoDB", million * work.reads * prices.read_million);
        let writes = work.writes + work.index_writes;
        self.add("DynamoDB", million * writes * prices.write_million);
        self.add("logs", times * work.log_gb * prices.log_gb);
    }

    /// The sum.
    pub(crate) fn total(&self) -> f64 {
        self.0.iter().map(|(_, usd)| usd).sum()
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, usd) in &self.0 {
            writeln!(f, "  {line:<22} {usd:>9.4}")?;
        }
        write!(f, "  {:<22} {:>9.4}", "together", self.total())
    }
}

/// What a race was: how many came, and how many orders were written during it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Race {
    pub(crate) buyers: f64,
    pub(crate) orders: f64,
}

/// A million buyers who ask, get a path token, try, and are refused.
pub(crate) fn million_refusals(counted: &Counted, race: Race, table: &Table) -> Bill {
    let mut bill = Bill::default();
    each_buyer(&mut bill, counted, race, 1e6, table);
    bill
}

/// A thousand buyers who get an order.
pub(crate) fn thousand_orders(counted: &Counted, race: Race, table: &Table) -> Bill {
    let mut bill = Bill::default();
    each_buyer(&mut bill, counted, race, 1000.0, table);
    let (times, prices) = (1000.0 / race.orders, &table.prices);
    let afterwards = counted.of(&AFTERWARDS);
    bill.add(
        "API Gateway",
        times * afterwards.invocations / 1e6 * prices.api_million,
    );
    bill.work(afterwards, times, table);
    bill.work(counted.of(&WRITER), times, table);
    // A message is sent alone, and received and deleted with its batch.
    let requests = counted.sent + 2.0 * counted.batches;
    bill.add("SQS", times * requests / 1e6 * prices.sqs_million);
    bill
}

fn each_buyer(bill: &mut Bill, counted: &Counted, race: Race, count: f64, table: &Table) {
    let (times, prices) = (count / race.buyers, &table.prices);
    let hot = counted.of(&HOT);
    bill.add(
        "API Gateway",
        times * hot.invocations / 1e6 * prices.api_million,
    );
    bill.work(hot, times, table);
    bill.add("Redis", times * counted.ecpu / 1e6 * prices.ecpu_million);
}

/// A month in which nobody comes. `timer` is what `runs` runs of a timer without an open sale did.
pub(crate) fn idle_month(timer: &Counted, runs: f64, alarms: f64, table: &Table) -> Bill {
    let (prices, made) = (&table.prices, &table.made);
    let mut bill = Bill::default();
    bill.add(
        "Redis, the least",
        made.cache_gb * HOURS * prices.cache_gb_hour,
    );
    bill.add(
        "interface endpoints",
        made.endpoint_zones * HOURS * prices.endpoint_hour,
    );
    bill.add("secrets", made.secrets * prices.secret_month);
    bill.add("alarms, dashboard", alarms * prices.alarm_month);
    bill.add(
        "alarms, dashboard",
        made.dashboards * prices.dashboard_month,
    );
    let polls = made.queues * made.polls_per_queue_minute * MINUTES;
    bill.add("SQS, empty polls", polls / 1e6 * prices.sqs_million);
    let calls = made.timers * MINUTES;
    bill.add("timers", calls / 1e6 * prices.scheduler_million);
    // What the other timer does is less.
    let mut runs_bill = Bill::default();
    runs_bill.work(timer.of(&["sweeper"]), calls / runs, table);
    bill.add("timers", runs_bill.total());
    bill
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted() -> Counted {
        let work = Work {
            invocations: 100.0,
            ..Work::default()
        };
        let writes = Work {
            writes: 60.0,
            ..Work::default()
        };
        let functions = [("spike", work), ("order-writer", writes)];
        Counted {
            functions: functions.map(|(name, work)| (name.to_owned(), work)).into(),
            sent: 10.0,
            ..Counted::default()
        }
    }

    #[test]
    fn an_order_pays_for_its_writes_and_its_message_and_a_refusal_does_not() {
        let table = Table::read().unwrap();
        let race = Race {
            buyers: 100.0,
            orders: 10.0,
        };
        let (api, lambda) = (table.prices.api_million, table.prices.lambda_million);
        let refusals = million_refusals(&counted(), race, &table).total();
        assert!((refusals - api - lambda).abs() < 1e-9, "{refusals}");
        let orders = thousand_orders(&counted(), race, &table).total();
        let writes = 6000.0 * table.prices.write_million / 1e6;
        let messages = 1000.0 * table.prices.sqs_million / 1e6;
        let expected = (api + lambda) / 1000.0 + writes + messages;
        assert!((orders - expected).abs() < 1e-9, "{orders}");
    }
}
