//! A small HTTP server that notes what it is asked and answers what it was told.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Listens on 127.0.0.1 until the test ends.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    calls: Vec<Call>,
    answer: String,
}

impl Receiver {
    /// Answers 200 at first.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            calls: Vec::new(),
            answer: "200 OK".to_owned(),
        }));
        let shared = state.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    /// Answers this from now on: a status with its reason, and headers in further lines.
    pub fn answer(&self, answer: &str) {
        self.state.lock().unwrap().answer = answer.to_owned();
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// The values of a header in the requests so far.
    pub fn told(&self, header: &str) -> Vec<String> {
        let calls = self.calls();
        let values = calls.iter().filter_map(|call| call.header(header));
        values.map(str::to_owned).collect()
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let first = line(&mut reader)?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let mut headers = Vec::new();
        loop {
            let line = line(&mut reader)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let answer = {
            let mut state = state.lock().ok()?;
            state.calls.push(Call {
                method,
                target,
                headers,
            });
            state.answer.replace('\n', "\r\n")
        };
        write!(&stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
}
