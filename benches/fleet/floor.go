// What a plain Go program takes for the files that `issue-node --all` makes: crypto/x509 on all cores, the same folders, files
// and modes. No ledger, no fsync, no look at what is there, and no check but the one signature that crypto/x509 verifies by itself.
//
//	go run floor.go FOLDER NODES
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	folder := os.Args[1]
	nodes, err := strconv.Atoi(os.Args[2])
	must(err)
	must(os.Mkdir(folder, 0o700))
	root, key := newRoot()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := int(next.Add(1)) - 1; i < nodes; i = int(next.Add(1)) - 1 {
				issue(folder, i, root, key)
			}
		}()
	}
	workers.Wait()
}

func newRoot() (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "fleet root", Organization: []string{"fleet"}},
		NotBefore:             time.Now().Add(-5 * time.Minute),
		NotAfter:              time.Now().AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(err)
	root, err := x509.ParseCertificate(der)
	must(err)
	return root, key
}

func issue(folder string, i int, root *x509.Certificate, key *ecdsa.PrivateKey) {
	host := fmt.Sprintf("worker-%06d.fra1.example.net", i)
	place := filepath.Join(folder, host)
	must(os.Mkdir(place, 0o700))
	client := leaf(pkix.Name{CommonName: "kubelet:" + host, Organization: []string{"kubelets"}}, x509.ExtKeyUsageClientAuth)
	write(place, "kubelet-client", client, root, key)
	server := leaf(pkix.Name{CommonName: "system:node:" + host}, x509.ExtKeyUsageServerAuth)
	server.DNSNames = []string{host}
	server.IPAddresses = []net.IP{net.IPv4(10, byte(1+i/65536), byte(i/256%256), byte(i%256))}
	write(place, "kubelet-server", server, root, key)
}

func leaf(subject pkix.Name, usage x509.ExtKeyUsage) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               subject,
		NotBefore:             time.Now().Add(-5 * time.Minute),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{usage},
		BasicConstraintsValid: true,
	}
}

func write(place, name string, template, root *x509.Certificate, signer *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err := x509.CreateCertificate(rand.Reader, template, root, &key.PublicKey, signer)
	must(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	put(filepath.Join(place, name+".crt"), "CERTIFICATE", der, 0o644)
	put(filepath.Join(place, name+".key"), "PRIVATE KEY", pkcs8, 0o600)
}

func put(path, label string, der []byte, mode os.FileMode) {
	must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}), mode))
}

func serial() *big.Int {
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	must(err)
	return number
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
