//! What is on offer: raising stock, repairing leaks, and lowering stock.

use domain::{SpikeId, Unit, Units};

use crate::{
    Error, Stock,
    answer::{self, unreadable},
    keys::Key,
    script::{Call, OFFER, RETIRE},
};

impl Stock {
    /// Raises `top` if this one is higher, which offers the new units, and puts on offer those of `units` that nobody
    /// holds and that are not on offer yet; answers how many units it put on offer. A sale that is not loaded is left
    /// alone.
    pub async fn offer(&self, spike_id: SpikeId, top: Unit, units: &Units) -> Result<u32, Error> {
        let call = Call::new(&OFFER, spike_id, &[Key::Sale, Key::Held, Key::Free])
            .arg(top)
            .arg(units.as_slice());
        answer::number(self.patient(call).await?)
    }

    /// Lets the house take units that are on offer; answers which it holds without [`Stock::settle`] having been told what
    /// the store says. Those that an earlier call took come first, however many; then new ones up to `most` in all, or
    /// 1,000 if that is less. The store decides next whether each is retired; those that it refuses go
    /// back by [`Stock::unretire`].
    pub async fn retire(&self, spike_id: SpikeId, most: u32) -> Result<Units, Error> {
        let keys = [Key::Sale, Key::Held, Key::Free, Key::Retiring];
        let call = Call::new(&RETIRE, spike_id, &keys).arg(most);
        let units = answer::list(self.patient(call).await?)?;
        let count = units.len();
        let units: Units = units
            .into_iter()
            .map(answer::number)
            .collect::<Result<_, _>>()?;
        if units.len() == count && !units.contains(0) {
            Ok(units)
        } else {
            Err(unreadable("units that retire took", &units))
        }
    }

    /// Notes that the store has decided about these units of the house, and Redis knows it.
    pub async fn settle(&self, spike_id: SpikeId, units: &Units) -> Result<(), Error> {
        if units.is_empty() {
            return Ok(());
        }
        let mut remove = redis::cmd("SREM");
        remove.arg(Key::Retiring.of(spike_id)).arg(units.as_slice());
        self.command(&remove).await.map(drop)
    }
}
