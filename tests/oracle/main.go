// The oracle: what Go says about certificates, PEM files and kubeconfigs, as client-go and the API server ask it.
// It reads a JSON list of cases on stdin and writes a JSON list of verdicts on stdout. Standard library only.
package main

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"time"
)

// Case is one question. Which fields count depends on Kind.
type Case struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	// path: the trust file, what the server sends (base64 of DER, leaf first), its key, its name, the time and the usage.
	Roots string   `json:"roots"`
	Sent  []string `json:"sent"`
	Key   string   `json:"key"`
	Name  string   `json:"name"`
	Time  string   `json:"time"`
	Usage string   `json:"usage"`
	// pem, kubeconfig: the file, base64. pair: certificate and key files, base64.
	File    string `json:"file"`
	KeyFile string `json:"keyFile"`
}

// Verdict is the answer to a case.
type Verdict struct {
	ID     string `json:"id"`
	Accept bool   `json:"accept"`
	Reason string `json:"reason,omitempty"`
	// Dialled is true where a TLS handshake was made, too.
	Dialled bool `json:"dialled,omitempty"`
	// Certificates are the SHA-256 of those that were taken from a file.
	Certificates []string `json:"certificates,omitempty"`
}

// Answer is the whole output.
type Answer struct {
	Go       string    `json:"go"`
	Verdicts []Verdict `json:"verdicts"`
}

func main() {
	var cases []Case
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		fail(err)
	}
	answer := Answer{Go: runtime.Version(), Verdicts: []Verdict{}}
	for _, c := range cases {
		v := judge(c)
		v.ID = c.ID
		answer.Verdicts = append(answer.Verdicts, v)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "oracle:", err)
	os.Exit(1)
}

func judge(c Case) Verdict {
	switch c.Kind {
	case "path":
		return path(c)
	case "pem":
		return clientTrust(decode(c.File))
	case "server-pem":
		return serverTrust(decode(c.File))
	case "pair":
		_, err := tls.X509KeyPair(decode(c.File), decode(c.KeyFile))
		return of(err)
	case "kubeconfig":
		return kubeconfig(decode(c.File))
	}
	fail(fmt.Errorf("%s: unknown kind %q", c.ID, c.Kind))
	return Verdict{}
}

func of(err error) Verdict {
	if err != nil {
		return Verdict{Reason: err.Error()}
	}
	return Verdict{Accept: true}
}

func decode(text string) []byte {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		fail(err)
	}
	return data
}

// path judges what a server sends: by x509.Verify as crypto/tls calls it, and by a handshake where there is a key.
func path(c Case) Verdict {
	now, err := time.Parse(time.RFC3339Nano, c.Time)
	if err != nil {
		fail(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(c.Roots)) {
		// client-go's createErrorParsingCAData.
		return of(errors.New("unable to parse bytes as PEM block"))
	}
	var sent [][]byte
	for _, der := range c.Sent {
		sent = append(sent, decode(der))
	}
	verdict := verify(sent, roots, now, c)
	if c.Key == "" || c.Usage != "serverAuth" || c.Name == "" {
		return verdict
	}
	key, err := privateKey([]byte(c.Key))
	if err != nil {
		return verdict
	}
	made, dialled := dial(sent, key, roots, now, c.Name)
	if !dialled {
		return verdict
	}
	made.Dialled = true
	if made.Accept && !verdict.Accept {
		fail(fmt.Errorf("%s: crypto/tls accepts what x509.Verify refuses: %s", c.ID, verdict.Reason))
	}
	return made
}

// verify does what crypto/tls's verifyServerCertificate does.
func verify(sent [][]byte, roots *x509.CertPool, now time.Time, c Case) Verdict {
	var parsed []*x509.Certificate
	for _, der := range sent {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return of(errors.New("tls: failed to parse certificate from server: " + err.Error()))
		}
		parsed = append(parsed, certificate)
	}
	usage := x509.ExtKeyUsageServerAuth
	if c.Usage == "clientAuth" {
		usage = x509.ExtKeyUsageClientAuth
	}
	options := x509.VerifyOptions{
		Roots: roots, CurrentTime: now, DNSName: c.Name, Intermediates: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{usage},
	}
	for _, certificate := range parsed[1:] {
		options.Intermediates.AddCert(certificate)
	}
	if _, err := parsed[0].Verify(options); err != nil {
		return of(err)
	}
	// What the handshake does with the keys that it is given, where no handshake can be made.
	for at, certificate := range parsed {
		key, ok := certificate.PublicKey.(*rsa.PublicKey)
		if !ok {
			continue
		}
		switch bits := key.N.BitLen(); {
		case bits > 8192:
			return of(fmt.Errorf("tls: server sent certificate containing RSA key larger than 8192 bits (%d)", bits))
		case bits < 1024 && at == 0:
			return of(fmt.Errorf("crypto/rsa: %d-bit keys are insecure", bits))
		}
	}
	return Verdict{Accept: true}
}

// dial makes a handshake as client-go does. It is not made where Go's own server cannot serve with this certificate.
func dial(sent [][]byte, key crypto.PrivateKey, roots *x509.CertPool, now time.Time, name string) (Verdict, bool) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		server := tls.Server(conn, &tls.Config{
			Certificates: []tls.Certificate{{Certificate: sent, PrivateKey: key}},
			NextProtos:   []string{"h2", "http/1.1"},
		})
		served <- server.Handshake()
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		fail(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	client := tls.Client(conn, &tls.Config{
		MinVersion: tls.VersionTLS12,
		RootCAs:    roots,
		ServerName: name,
		NextProtos: []string{"h2", "http/1.1"},
		Time:       func() time.Time { return now },
	})
	err = client.Handshake()
	if err == nil {
		return Verdict{Accept: true}, true
	}
	var remote *net.OpError
	if errors.Is(err, io.EOF) || (errors.As(err, &remote) && remote.Op != "local error") {
		// The server gave up first.
		conn.Close()
		<-served
		return Verdict{}, false
	}
	return of(err), true
}

func privateKey(text []byte) (crypto.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	return x509.ParsePKCS1PrivateKey(block.Bytes)
}

// clientTrust is a trust file as client-go reads it: CertPool.AppendCertsFromPEM passes over what it cannot parse.
func clientTrust(file []byte) Verdict {
	verdict := Verdict{Accept: x509.NewCertPool().AppendCertsFromPEM(file)}
	for rest := file; len(rest) > 0; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			verdict.Certificates = append(verdict.Certificates, fingerprint(certificate.Raw))
		}
	}
	if !verdict.Accept {
		verdict.Reason = "unable to parse bytes as PEM block"
	}
	return verdict
}

// serverTrust is a trust file as --client-ca-file is read (client-go's cert.ParseCertsPEM): one bad certificate is fatal.
func serverTrust(file []byte) Verdict {
	verdict := Verdict{}
	for rest := file; len(rest) > 0; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		certificates, err := x509.ParseCertificates(block.Bytes)
		if err != nil {
			return of(err)
		}
		for _, certificate := range certificates {
			verdict.Certificates = append(verdict.Certificates, fingerprint(certificate.Raw))
		}
	}
	if len(verdict.Certificates) == 0 {
		return of(errors.New("data does not contain any valid RSA or ECDSA certificates"))
	}
	verdict.Accept = true
	return verdict
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// kubeconfig reads the JSON form of a kubeconfig, as kubectl does once YAML has become JSON.
func kubeconfig(file []byte) Verdict {
	var config struct {
		Clusters []struct {
			Cluster struct {
				Data []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Certificate []byte `json:"client-certificate-data"`
				Key         []byte `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := json.NewDecoder(bytes.NewReader(file)).Decode(&config); err != nil {
		return of(err)
	}
	verdict := Verdict{Accept: true}
	for _, cluster := range config.Clusters {
		trust := clientTrust(cluster.Cluster.Data)
		if !trust.Accept {
			return trust
		}
		verdict.Certificates = append(verdict.Certificates, trust.Certificates...)
	}
	for _, user := range config.Users {
		if _, err := tls.X509KeyPair(user.User.Certificate, user.User.Key); err != nil {
			return of(err)
		}
	}
	return verdict
}
