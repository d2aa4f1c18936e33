# A sale that a hundred thousand people wait for, with everything that is off by default. Sizes: docs/aws.md. Copy it, and put in
# your own domain, certificate, collector and addresses.
spike_concurrency  = 2000
writer_concurrency = 200

cache_limits = {
  storage_gb       = 20
  ecpu_per_sec_max = 500000
  ecpu_per_sec_min = 100000
}

# Told a spike's expected_buyers, prewarm provisions as many at most, of each of three functions.
prewarm = { instances_max = 1900 }

warm_throughput = {
  claims = { reads = 40000, writes = 20000 }
  orders = { reads = 40000, writes = 20000 }
  users  = { reads = 40000, writes = 4000 }
}

zones         = 3
nat_gateway   = true
tracing       = true
otlp_endpoint = "http://collector.internal:4318"
firewall_rate = 2000
alarm_emails  = ["sales-desk@example.org"]

signing_keys = { a = 1, b = 1 }

domain = {
  name            = "sale.example.org"
  certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
}

sizes = {
  spike = { memory_mb = 1024 }
  login = { memory_mb = 3538 }
}
