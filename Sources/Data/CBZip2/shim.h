// libbzip2 for Swift. Nothing else happens here.
#pragma once

#include <bzlib.h>
