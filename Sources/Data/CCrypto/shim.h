// OpenSSL's libcrypto for Swift, versions 1.1.1 to 3. Nothing else happens here.
#pragma once

#include <openssl/crypto.h>
#include <openssl/evp.h>
