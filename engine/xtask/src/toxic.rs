//! A proxy between the server and its object store: it delays, slows down, refuses,
//! resets, and loses replies of requests that were carried out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::Rng as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// Bytes that are passed on at once.
const CHUNK: usize = 16 << 10;

/// What it does to requests. Probabilities are of one request each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Toxic {
    /// Every connection is reset.
    pub(crate) down: bool,
    /// 503 instead of passing it on.
    pub(crate) unavailable: f64,
    /// The connection is reset before it is passed on.
    pub(crate) reset: f64,
    /// It is carried out, and the connection is reset instead of its reply.
    pub(crate) lost_reply: f64,
    /// Before it is passed on.
    pub(crate) latency: Duration,
    /// In each direction; 0 = as fast as it goes.
    pub(crate) bytes_per_second: u64,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    Unavailable,
    Reset,
    LostReply,
}

impl Toxic {
    fn fate(&self) -> Fate {
        let mut rest = rand::rng().random::<f64>();
        for (fate, probability) in [
            (Fate::Unavailable, self.unavailable),
            (Fate::Reset, self.reset),
            (Fate::LostReply, self.lost_reply),
        ] {
            if rest < probability {
                return fate;
            }
            rest -= probability;
        }
        if self.down { Fate::Reset } else { Fate::Pass }
    }
}

/// The proxy; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) address: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    toxic: Mutex<Toxic>,
    /// Requests that were not passed on, or whose reply was lost.
    spoiled: AtomicU64,
}

impl Proxy {
    pub(crate) async fn start(target: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared::default());
        let (target, of_task) = (target.to_owned(), Arc::clone(&shared));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, shared) = (target.clone(), Arc::clone(&of_task));
                // A broken connection is what this is for.
                tokio::spawn(async move { drop(pass(client, &target, &shared).await) });
            }
        });
        Ok(Self { address, shared, task })
    }

    /// From now on, also on open connections.
    pub(crate) async fn set(&self, toxic: Toxic) {
        *self.shared.toxic.lock().await = toxic;
    }

    /// How many requests were spoiled so far.
    pub(crate) fn spoiled(&self) -> u64 {
        self.shared.spoiled.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection. Clients do not pipeline: what comes after a reply begins a request.
async fn pass(mut client: TcpStream, target: &str, shared: &Shared) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut server = TcpStream::connect(target).await?;
    server.set_nodelay(true)?;
    let (mut up, mut down) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut begins = true;
    let mut fate = Fate::Pass;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                let toxic = *shared.toxic.lock().await;
                if std::mem::take(&mut begins) {
                    fate = toxic.fate();
                    if fate != Fate::Pass {
                        shared.spoiled.fetch_add(1, Ordering::Relaxed);
                    }
                    tokio::time::sleep(toxic.latency).await;
                }
                match fate {
                    Fate::Reset => return reset(client),
                    Fate::Unavailable => {
                        let answer = b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                        client.write_all(answer).await?;
                        return client.shutdown().await;
                    }
                    Fate::Pass | Fate::LostReply => server.write_all(&up[..read]).await?,
                }
                slow_down(toxic, read).await;
            }
            read = server.read(&mut down) => {
                let read = read?;
                if read == 0 {
                    return client.shutdown().await;
                }
                let toxic = *shared.toxic.lock().await;
                if fate == Fate::LostReply {
                    return reset(client);
                }
                slow_down(toxic, read).await;
                client.write_all(&down[..read]).await?;
                begins = true;
            }
        }
    }
}

/// Ends a connection as a crashed machine does.
#[expect(deprecated, reason = "a linger of zero does not block, it resets")]
fn reset(client: TcpStream) -> std::io::Result<()> {
    client.set_linger(Some(Duration::ZERO))
}

async fn slow_down(toxic: Toxic, bytes: usize) {
    if toxic.bytes_per_second > 0 {
        tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / toxic.bytes_per_second as f64)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_of_one_request() {
        let count = |toxic: Toxic, fate| (0..1_000).filter(|_| toxic.fate() == fate).count();
        assert_eq!(count(Toxic::default(), Fate::Pass), 1_000);
        assert_eq!(count(Toxic { down: true, ..Toxic::default() }, Fate::Reset), 1_000);
        let some = Toxic { unavailable: 0.2, reset: 0.1, ..Toxic::default() };
        assert!((120..280).contains(&count(some, Fate::Unavailable)));
        assert!((50..150).contains(&count(some, Fate::Reset)));
    }

    #[tokio::test]
    async fn a_lost_reply_is_of_a_request_that_arrived() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(&listener.local_addr().unwrap().to_string()).await.unwrap();
        proxy.set(Toxic { lost_reply: 1.0, ..Toxic::default() }).await;
        let mut client = TcpStream::connect(&proxy.address).await.unwrap();
        client.write_all(b"PUT").await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut arrived = [0; 3];
        server.read_exact(&mut arrived).await.unwrap();
        assert_eq!(&arrived, b"PUT");
        server.write_all(b"200").await.unwrap();
        assert!(client.read(&mut [0; 3]).await.is_err(), "reset");
        assert_eq!(proxy.spoiled(), 1);
    }
}
