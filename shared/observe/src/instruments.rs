//! Counters, histograms and gauges that are nothing until they are started.

use std::{
    fmt::Display,
    sync::{Mutex, OnceLock, PoisonError},
    time::Instant,
};

use opentelemetry::{KeyValue, metrics};

/// The upper bounds of a histogram's buckets in seconds: from a call of Redis to an event that waited for an hour.
const BOUNDS_SECS: [f64; 19] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0, 60.0, 300.0, 3600.0,
];

/// What kind of instrument one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A distribution.
    Histogram,
    /// A value as it is now.
    Gauge,
}

/// A row of the table of instruments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The name under which it is exported.
    pub name: &'static str,
    /// What kind of instrument it is.
    pub kind: Kind,
    /// The unit, as UCUM writes it.
    pub unit: &'static str,
    /// The keys of its attributes.
    pub attributes: &'static [&'static str],
    /// What is measured.
    pub what: &'static str,
}

/// A sum that only grows, with `N` attributes.
pub struct Counter<const N: usize> {
    about: About,
    started: OnceLock<metrics::Counter<u64>>,
}

/// A distribution of times in seconds, with `N` attributes.
pub struct Histogram<const N: usize> {
    about: About,
    started: OnceLock<metrics::Histogram<f64>>,
}

/// A value for each spike, as the last sweep found it.
pub struct Gauge<const N: usize> {
    about: About,
    started: OnceLock<metrics::ObservableGauge<f64>>,
    values: Mutex<Vec<(String, f64)>>,
}

/// When something began; nothing while its histogram is off.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Option<Instant>);

impl Stopwatch {
    /// Whether nothing is measured.
    #[must_use]
    pub fn is_stopped(self) -> bool {
        self.0.is_none()
    }
}

impl<const N: usize> Counter<N> {
    pub(crate) const fn new(about: About) -> Self {
        Self {
            about,
            started: OnceLock::new(),
        }
    }

    pub(crate) fn start(&self, meter: &metrics::Meter) {
        let About {
            name, unit, what, ..
        } = self.about;
        self.started.get_or_init(|| {
            let counter = meter.u64_counter(name).with_unit(unit);
            counter.with_description(what).build()
        });
    }

    /// Counts; `values` are those of the attributes, in the order of the table.
    pub fn add(&self, count: u64, values: [&dyn Display; N]) {
        if let Some(counter) = self.started.get() {
            counter.add(count, &attributes(self.about.attributes, values));
        }
    }
}

impl<const N: usize> Histogram<N> {
    pub(crate) const fn new(about: About) -> Self {
        Self {
            about,
            started: OnceLock::new(),
        }
    }

    pub(crate) fn start(&self, meter: &metrics::Meter) {
        let About {
            name, unit, what, ..
        } = self.about;
        self.started.get_or_init(|| {
            let histogram = meter.f64_histogram(name).with_unit(unit);
            let histogram = histogram.with_boundaries(BOUNDS_SECS.to_vec());
            histogram.with_description(what).build()
        });
    }

    /// Begins to measure.
    #[must_use]
    pub fn begin(&self) -> Stopwatch {
        Stopwatch(self.started.get().map(|_| Instant::now()))
    }

    /// Records how long it took.
    pub fn end(&self, begun: Stopwatch, values: [&dyn Display; N]) {
        if let Stopwatch(Some(begun)) = begun {
            self.record(begun.elapsed().as_secs_f64(), values);
        }
    }

    /// Records a time in seconds.
    pub fn record(&self, secs: f64, values: [&dyn Display; N]) {
        if let Some(histogram) = self.started.get() {
            histogram.record(secs, &attributes(self.about.attributes, values));
        }
    }
}

impl Gauge<1> {
    pub(crate) const fn new(about: About) -> Self {
        Self {
            about,
            started: OnceLock::new(),
            values: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn start(&'static self, meter: &metrics::Meter) {
        let About {
            name, unit, what, ..
        } = self.about;
        self.started.get_or_init(|| {
            let gauge = meter.f64_observable_gauge(name).with_unit(unit);
            let gauge = gauge.with_description(what).with_callback(|observer| {
                let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
                for (spike, value) in values.iter() {
                    observer.observe(*value, &attributes(self.about.attributes, [spike]));
                }
            });
            gauge.build()
        });
    }

    /// Whether anybody looks at it: what costs a call is read only then.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.started.get().is_some()
    }

    /// Replaces all values, so that a spike that is over is no longer shown.
    pub fn replace(&self, values: impl IntoIterator<Item = (String, f64)>) {
        if self.is_on() {
            let values = values.into_iter().collect();
            *self.values.lock().unwrap_or_else(PoisonError::into_inner) = values;
        }
    }
}

fn attributes<const N: usize>(
    keys: &'static [&'static str],
    values: [&dyn Display; N],
) -> Vec<KeyValue> {
    let pairs = keys.iter().zip(values);
    pairs
        .map(|(key, value)| KeyValue::new(*key, value.to_string()))
        .collect()
}
