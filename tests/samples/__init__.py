"""What tests are made of: small files, networks, fakes held to the same suites as what they stand for."""
