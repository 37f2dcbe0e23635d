#!/bin/sh
# Certificates for docker-compose.yaml: a CA of your own and one certificate a service, in certs/ (or FOLDER).
# Run again to renew those of the services; the CA stays. Bring your own instead if you have a CA.
set -eu
folder=${1:-certs}
days=${DAYS:-825}
umask 077
mkdir -p "$folder"
cd "$folder"
if [ ! -e ca.key ]; then
    openssl req -x509 -newkey rsa:3072 -nodes -sha256 -days 3650 -subj "/CN=coa-migration" \
        -addext "basicConstraints=critical,CA:true" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -keyout ca.key -out ca.pem 2>/dev/null
fi
for name in postgres demo-source demo-target; do
    openssl req -newkey rsa:2048 -nodes -sha256 -subj "/CN=$name" -keyout "$name.key" -out "$name.csr" 2>/dev/null
    extensions=$(mktemp)
    printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' "$name" > "$extensions"
    openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -sha256 -days "$days" \
        -extfile "$extensions" -out "$name.pem" 2>/dev/null
    rm "$name.csr" "$extensions"
done
# Containers read them as other users. The keys of the services stay with their owner: postgres gets its by root,
# the demo's orgs are not worth protecting.
chmod 644 ./*.pem demo-*.key
echo "Certificates in $(pwd): ca.pem for the clients, NAME.pem and NAME.key for each service."
