//! The client against a server that says exactly what a test wants.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A test's patience: far more than loopback needs.
const LONG: Duration = Duration::from_secs(20);

/// Answers each connection with the next of these texts, then with the last one, and keeps what it was asked.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn saying(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (asked, answers) = (Arc::<Mutex<Vec<String>>>::default(), answers.iter().map(|s| (*s).to_owned()));
        let (kept, mut answers) = (Arc::clone(&asked), answers.collect::<Vec<String>>().into_iter().peekable());
        tokio::spawn(async move {
            let mut answer = String::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                answer = answers.next().unwrap_or(answer);
                let mut question = Vec::new();
                while !String::from_utf8_lossy(&question).contains("\r\n\r\n") {
                    let mut buffer = [0; 4096];
                    let len = stream.read(&mut buffer).await.unwrap();
                    question.extend_from_slice(&buffer[..len]);
                }
                kept.lock().unwrap().push(String::from_utf8_lossy(&question).into_owned());
                // The client may have heard enough before all is said.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, asked }
    }

    fn url(&self) -> HttpUrl {
        self.url.parse().unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn client(token: Option<(Origin, Token)>) -> HttpClient {
    HttpClient::new(Resolver::from_system(), &HttpSettings { ca_file: None, token }).unwrap()
}

async fn fetched(answer: &str) -> Result<String, String> {
    let server = Server::saying(&[answer]).await;
    let fetched = client(None).fetch(&server.url(), 1000, LONG).await;
    fetched.map(|body| String::from_utf8_lossy(&body).into_owned()).map_err(|e| e.to_string())
}

#[tokio::test]
async fn an_answer_comes_whole_however_its_length_is_told() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na,b\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n3\r\n,b\n\r\n0\r\n\r\n",
    ] {
        assert_eq!(fetched(answer).await.as_deref(), Ok("a,b\n"), "{answer:?}");
    }
    assert_eq!(fetched("HTTP/1.1 204 No Content\r\n\r\n").await.as_deref(), Ok(""));
}

#[tokio::test]
async fn what_is_no_success_is_an_error_in_words() {
    for (answer, words) in [
        ("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "the answer is 500 Internal Server Error"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\na,b", "the answer is 404 Not Found"),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "no HTTP answer"),
        ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "more than 5 redirects"),
        ("HTTP/1.1 302 Found\r\nLocation: file:///passwords\r\nContent-Length: 0\r\n\r\n", "must start with http"),
    ] {
        let error = fetched(answer).await.unwrap_err();
        assert!(error.contains(words), "{answer:?} gives {error:?}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "a,".repeat(1 << 20));
    assert_eq!(fetched(&endless).await.unwrap_err(), "the answer is longer than 1000 bytes");
    let header = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    assert_eq!(fetched(&header).await.unwrap_err(), "no HTTP answer");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: HttpUrl = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let patience = Duration::from_millis(50);
    let error = client(None).fetch(&url, 1000, patience).await.unwrap_err().to_string();
    assert_eq!(error, "no answer within 50ms");
}

#[tokio::test]
async fn redirects_are_followed_and_the_token_stays_with_its_owner() {
    let other = Server::saying(&["HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"]).await;
    let away = format!("HTTP/1.1 307 Away\r\nLocation: {}else\r\nContent-Length: 0\r\n\r\n", other.url);
    let server = Server::saying(&["HTTP/1.1 301 Here\r\nLocation: here\r\nContent-Length: 0\r\n\r\n", &away]).await;
    let token = (server.url().origin(), Token::parse("open-sesame").unwrap());
    assert_eq!(client(Some(token)).fetch(&server.url(), 1000, LONG).await.unwrap(), "b");
    let asked = server.asked();
    assert!(asked[0].starts_with("GET / HTTP/1.1\r\n") && asked[1].starts_with("GET /here HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked.iter().all(|text| text.contains("authorization: Bearer open-sesame\r\n")), "{asked:?}");
    assert!(!other.asked()[0].contains("open-sesame") && other.asked()[0].starts_with("GET /else "));
}

#[tokio::test]
async fn what_is_posted_is_not_sent_on() {
    let server = Server::saying(&["HTTP/1.1 307 Away\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"]).await;
    let error = client(None).post(&server.url(), Bytes::from_static(b"{}"), LONG).await.unwrap_err().to_string();
    assert!(error.contains("redirects to \"/b\""), "{error}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn this_machine_knows_its_address_toward_a_server() {
    let server = Server::saying(&[""]).await;
    assert_eq!(client(None).facing(&server.url()).await.unwrap(), IpAddr::from([127, 0, 0, 1]));
}

#[test]
fn a_file_with_authorities_must_hold_some() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let error = |path: &std::path::Path| {
        let settings = HttpSettings { ca_file: Some(path.to_owned()), token: None };
        HttpClient::new(Resolver::from_system(), &settings).err().unwrap().to_string()
    };
    assert!(error(&path).contains("cannot read the authorities in"));
    std::fs::write(&path, "no certificate").unwrap();
    assert!(error(&path).contains("there is no certificate in"));
}
