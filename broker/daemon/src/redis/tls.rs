//! TLS to Redis: whose word is taken for it, what this node shows of itself, and what is said when it fails.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redis::RedisError;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::Address;
use super::calls::DEADLINE;
use super::fault::Fault;

/// The files that a connection over TLS needs, all as PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities that vouch for Redis; none: those of the system.
    pub ca: Option<PathBuf>,
    /// The certificate that Redis is shown, with its chain.
    pub certificate: Option<PathBuf>,
    /// The private key of that certificate.
    pub key: Option<PathBuf>,
}

/// How TLS is spoken to one Redis.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    /// Those whose word is taken, as an operator knows them.
    authorities: Box<str>,
}

/// The key that stands against TLS, and why; it goes on behind the key's name.
type Mistake = (&'static str, String);

const CA: &str = "backplane.ca";
const CERTIFICATE: &str = "backplane.certificate";
const KEY: &str = "backplane.key";

impl Tls {
    /// How TLS is spoken to `address`; none if it is not.
    pub(crate) fn load(address: Option<&Address>, files: &TlsFiles) -> Result<Option<Tls>, Mistake> {
        let TlsFiles { ca, certificate, key } = files;
        if !address.is_some_and(Address::is_tls) {
            let set = [(CA, ca), (CERTIFICATE, certificate), (KEY, key)];
            return match set.into_iter().find(|(_, path)| path.is_some()) {
                None => Ok(None),
                Some((name, _)) => {
                    Err((name, "needs a backplane.redis that begins with rediss://".to_owned()))
                }
            };
        }
        let (roots, authorities) = match ca {
            Some(path) => (authorities(path)?, format!("those in {}", path.display())),
            None => (authorities_of_system()?, "those of this system; backplane.ca names others".to_owned()),
        };
        let provider = Arc::new(default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ("backplane.redis", format!("can't be spoken to over TLS: {error}")))?
            .with_root_certificates(roots);
        let config = match (certificate, key) {
            (None, None) => config.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = certificates(CERTIFICATE, certificate)?;
                let private =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(KEY, key, &error))?;
                let fits = config.with_client_auth_cert(chain, private);
                fits.map_err(|error| {
                    (KEY, format!("{key:?} is not the key of backplane.certificate: {error}"))
                })?
            }
            (Some(_), None) => {
                return Err((CERTIFICATE, "needs its private key in backplane.key".to_owned()));
            }
            (None, Some(_)) => {
                return Err((KEY, "needs its certificate in backplane.certificate".to_owned()));
            }
        };
        Ok(Some(Tls { config: Arc::new(config), authorities: authorities.into() }))
    }

    /// Speaks TLS over a connection to `host`.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Fault> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
            Fault::Away(format!("no certificate can be for {host:?}, the host in backplane.redis"))
        })?;
        let shaking = TlsConnector::from(self.config.clone()).connect(name, stream);
        match tokio::time::timeout(DEADLINE, shaking).await {
            Ok(shaken) => shaken.map_err(|error| Fault::Away(self.told(host, &error))),
            Err(_) => Err(Fault::Away(format!(
                "what listens there has not answered to TLS for {} s; does it speak TLS? A port that does not takes \
                 redis:// in backplane.redis",
                DEADLINE.as_secs()
            ))),
        }
    }

    /// What is said of a connection that came to nothing.
    fn told(&self, host: &str, error: &io::Error) -> String {
        let known = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        if let Some(Error::InvalidCertificate(why)) = known {
            return self.certificate_told(host, why);
        }
        if let Some(Error::AlertReceived(alert)) = known {
            return refused(&format!("{alert:?}"));
        }
        if known.is_some_and(|error| matches!(error, Error::InvalidMessage(_))) {
            return "what listens there does not speak TLS; then backplane.redis begins with redis://"
                .to_owned();
        }
        if error.kind() == io::ErrorKind::UnexpectedEof || error.kind() == io::ErrorKind::ConnectionReset {
            return "what listens there has closed the connection when it was spoken to over TLS".to_owned();
        }
        format!("no TLS can be spoken to Redis: {error}")
    }

    fn certificate_told(&self, host: &str, why: &CertificateError) -> String {
        use CertificateError as Why;
        if matches!(why, Why::UnknownIssuer | Why::BadSignature) {
            return format!(
                "the certificate of Redis comes from none of the authorities trusted here, {}",
                self.authorities
            );
        }
        let not_for = format!("the certificate of Redis is not for {host:?}, the host in backplane.redis");
        if let Why::NotValidForNameContext { presented, .. } = why {
            return format!("{not_for}, but for {}", presented.join(", "));
        }
        if matches!(why, Why::NotValidForName) {
            return not_for;
        }
        if matches!(why, Why::Expired | Why::ExpiredContext { .. }) {
            return format!("the certificate of Redis has expired: {why}");
        }
        format!("the certificate of Redis can't be accepted: {why}")
    }
}

/// The fault of a greeting over TLS: what Redis says against this node's certificate comes only then.
pub(super) fn fault(error: RedisError) -> Fault {
    let said = error.to_string();
    let Some((_, alert)) = said.split_once("fatal alert: ") else { return error.into() };
    let alert: String = alert.chars().take_while(char::is_ascii_alphanumeric).collect();
    Fault::Away(refused(&alert))
}

fn refused(alert: &str) -> String {
    format!("Redis refuses to speak TLS with this node: {alert}{}", remedy(alert))
}

/// What an operator can do about an alert.
fn remedy(alert: &str) -> &'static str {
    match alert {
        "CertificateRequired" => {
            "; it wants a certificate, which backplane.certificate and backplane.key give"
        }
        "UnknownCA" | "BadCertificate" | "CertificateUnknown" | "CertificateExpired" => {
            "; it does not accept the one in backplane.certificate"
        }
        _ => "",
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, Mistake> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CA, path)? {
        roots.add(certificate).map_err(|error| {
            (CA, format!("{path:?} holds what is no certificate of an authority: {error}"))
        })?;
    }
    Ok(roots)
}

fn authorities_of_system() -> Result<RootCertStore, Mistake> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // One that can't be read vouches for nobody; the others do.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err((CA, "must be set: this system has no list of trusted authorities".to_owned()));
    }
    Ok(roots)
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Mistake> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| unreadable(key, path, &error))?;
    if found.is_empty() {
        return Err((key, format!("{path:?} holds no certificate in PEM form")));
    }
    Ok(found)
}

fn unreadable(key: &'static str, path: &Path, error: &pem::Error) -> Mistake {
    let why = if let pem::Error::Io(error) = error {
        format!("can't be read: {error}")
    } else if matches!(error, pem::Error::NoItemsFound) {
        "holds none in PEM form".to_owned()
    } else {
        format!("is no PEM file: {error}")
    };
    (key, format!("{path:?} {why}"))
}
