//! Passwords: which are good enough, and how they are hashed.
//!
//! Argon2id with 19 MiB, two passes and one lane (OWASP's password storage cheat sheet). A hash takes tens of
//! milliseconds of a core, so hashing runs on threads of its own, a few at a time, which give way to all others; when too
//! many wait for their turn, the next one is told at once that the function is busy.
//!
//! A hash that was imported is compared with its own parameters, which are at least ours and at most twice their work.
//! So one difference in time remains: who measures closely can tell an account whose imported hash is dearer than ours
//! from a name that nobody has. Hashes of our parameters show nothing. An imported hash is not replaced by one of ours
//! at a login: sending the import again would then look like a new password, and end the user's sessions (ADR 16).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash,
};
use domain::Username;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
/// A permit's queue: about a second's worth of hashing, where nobody else wants the core.
const WAITING_PER_PERMIT: usize = 32;
/// How long somebody waits for their turn where others do want it.
const WAIT_MAX: Duration = Duration::from_secs(5);
const CHARS_MIN: usize = 8;
const CHARS_MAX: usize = 128;
/// The most that an imported hash may cost, in passes over a KiB: twice ours.
const WORK_MAX: u64 = 2 * MEMORY_KIB as u64 * PASSES as u64;
const LANES_MAX: u32 = 4;
const HASH_BYTES_MIN: usize = 16;
/// The lowest of the priorities of threads, which go from -20 to 19.
#[cfg(target_os = "linux")]
const LEAST_URGENT: i32 = 19;

/// Widely used passwords of eight and more characters, one a line, in small letters.
const COMMON: &str = include_str!("common_passwords.txt");

/// What is verified for an account that does not exist: the same work as for one that does, and nothing matches it,
/// since its hash was drawn at random.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$ZlJ0c1V2bkx4Q3dQaEtkUw$6eUQ2bVRNr0dHWXqnMFyYpX0mJo3lGzT8sA5cW1uKkE";

/// Why a password was neither hashed nor compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too many are waiting for their turn, it did not come in time, or there was no thread for it.
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    /// The hash could not be computed (no memory, or a defect).
    #[error("the password hash could not be computed")]
    Failed,
}

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Fewer than 8 characters.
    #[error("the password has fewer than 8 characters")]
    TooShort,
    /// More than 128 characters.
    #[error("the password has more than 128 characters")]
    TooLong,
    /// One of the passwords that everybody tries first.
    #[error("the password is one of the most widely used")]
    Common,
    /// The account's name.
    #[error("the password is the username")]
    IsUsername,
}

/// Hashes and compares passwords, a bounded number at a time.
#[derive(Clone)]
pub struct Passwords {
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
    computed: Arc<AtomicU64>,
}

/// A place in the queue, taken before anything that must not happen in vain.
pub struct Turn {
    place: OwnedSemaphorePermit,
    running: Arc<Semaphore>,
    computed: Arc<AtomicU64>,
}

impl Passwords {
    /// At most `permits` hashes at the same time, each of which takes 19 MiB, or for some imported hash up to 38.
    #[must_use]
    pub fn new(permits: usize) -> Self {
        let permits = permits.clamp(1, 1024);
        Self {
            places: Arc::new(Semaphore::new(permits * (1 + WAITING_PER_PERMIT))),
            running: Arc::new(Semaphore::new(permits)),
            computed: Arc::default(),
        }
    }

    /// A place in the queue, or [`Error::Busy`].
    pub fn turn(&self) -> Result<Turn, Error> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Error::Busy)?;
        Ok(Turn {
            place,
            running: Arc::clone(&self.running),
            computed: Arc::clone(&self.computed),
        })
    }

    /// The password's hash, as a PHC string.
    pub async fn hash(&self, password: &str) -> Result<String, Error> {
        self.turn()?.hash(password).await
    }

    /// Whether the password belongs to the hash. Without a hash the answer is no, after the same work.
    pub async fn verify(&self, password: &str, phc: Option<&str>) -> Result<bool, Error> {
        self.turn()?.verify(password, phc).await
    }

    /// How many hashes were computed so far.
    #[must_use]
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// Whether the password is good enough for the account.
    pub fn check(password: &str, username: &Username) -> Result<(), WeakPassword> {
        match password.chars().count() {
            ..CHARS_MIN => return Err(WeakPassword::TooShort),
            CHARS_MIN..=CHARS_MAX => {}
            _ => return Err(WeakPassword::TooLong),
        }
        let lower = password.to_lowercase();
        if lower == username.as_str() {
            return Err(WeakPassword::IsUsername);
        }
        if COMMON.lines().any(|common| common == lower) {
            return Err(WeakPassword::Common);
        }
        Ok(())
    }

    /// Whether a hash from elsewhere may be kept: Argon2id, no weaker than ours, and at most twice the work.
    #[must_use]
    pub fn acceptable(phc: &str) -> bool {
        let Ok(hash) = PasswordHash::new(phc) else {
            return false;
        };
        let Ok(params) = Params::try_from(&hash) else {
            return false;
        };
        hash.algorithm == argon2::ARGON2ID_IDENT
            && hash.version == Some(Version::V0x13.into())
            && params.m_cost() >= MEMORY_KIB
            && params.t_cost() >= PASSES
            && u64::from(params.m_cost()) * u64::from(params.t_cost()) <= WORK_MAX
            && (LANES..=LANES_MAX).contains(&params.p_cost())
            && params.keyid().is_empty()
            && params.data().is_empty()
            && hash.salt.is_some_and(|salt| salt.len() >= SALT_BYTES / 2)
            && hash.hash.is_some_and(|hash| hash.len() >= HASH_BYTES_MIN)
    }
}

impl Turn {
    /// See [`Passwords::hash`].
    pub async fn hash(self, password: &str) -> Result<String, Error> {
        let password = password.to_owned();
        self.run(move || {
            let hash = argon2()?
                .hash_password_with_salt(password.as_bytes(), &crate::random::<SALT_BYTES>());
            hash.map(|hash| hash.to_string()).map_err(|_| Error::Failed)
        })
        .await
    }

    /// See [`Passwords::verify`].
    pub async fn verify(self, password: &str, phc: Option<&str>) -> Result<bool, Error> {
        let (password, known) = (
            password.to_owned(),
            phc.and_then(|phc| PasswordHash::new(phc).ok()),
        );
        self.run(move || {
            let exists = known.is_some();
            let hash = known
                .map_or_else(|| PasswordHash::new(NOBODY), Ok)
                .map_err(|_| Error::Failed)?;
            match argon2()?.verify_password(password.as_bytes(), &hash) {
                Ok(()) => Ok(exists),
                Err(password_hash::Error::PasswordInvalid) => Ok(false),
                Err(_) => Err(Error::Failed),
            }
        })
        .await
    }

    /// Runs the work when it is its turn. Work that has begun keeps its permits even if nobody waits for it any more.
    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = timeout(WAIT_MAX, self.running.acquire_owned()).await;
        let permit = permit
            .map_err(|_| Error::Busy)?
            .map_err(|_| Error::Failed)?;
        let (place, computed) = (self.place, self.computed);
        let (sender, hashed) = oneshot::channel();
        // A thread that has given way cannot take its priority back, and the runtime's serve others.
        let thread = thread::Builder::new().name("password".to_owned());
        let hashing = thread.spawn(move || {
            let _held = (place, permit);
            give_way();
            computed.fetch_add(1, Ordering::Relaxed);
            // Nobody may wait for it any more.
            let _ = sender.send(work());
        });
        hashing.map_err(|_| Error::Busy)?;
        hashed.await.map_err(|_| Error::Failed)?
    }
}

/// Lets everything else that this process does go first: whoever guesses passwords shall not slow buyers down.
///
/// Only Linux gives a thread a priority of its own.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        // Refused, it is as urgent as the others.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), LEAST_URGENT);
    }
}

fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| Error::Failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests;
