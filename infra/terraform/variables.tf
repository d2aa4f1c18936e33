# What an operator may decide. Everything has a default: `terraform apply` alone builds a system from nothing.

variable "name" {
  description = "Prefix of every name, so that several systems can live in one account and region."
  type        = string
  default     = "spike"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "3 to 20 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "region" {
  description = "The region of everything but CloudFront's firewall, which is in us-east-1."
  type        = string
  default     = "eu-central-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The code of an AWS region, for instance eu-central-1."
  }
}

variable "tags" {
  description = "Tags on everything, besides `project`."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(var.tags) <= 9 && alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "At most 9 tags (an object of S3 takes ten, and project is one), and none that begins with aws: (AWS' own)."
  }
}

variable "package_dir" {
  description = "Where scripts/package-lambda has put one zip per function, NAME.zip."
  type        = string
  default     = "../../target/lambda"

  validation {
    condition     = length(var.package_dir) > 0
    error_message = "A folder, absolute or relative to this one."
  }
}

variable "architecture" {
  description = "What the zips were built for."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "arm64 or x86_64."
  }
}

variable "log_level" {
  description = "RUST_LOG of every function."
  type        = string
  default     = "info"

  validation {
    condition     = can(regex("^[a-z0-9_=,]+$", var.log_level))
    error_message = "A filter of the crate tracing-subscriber, for instance info or info,stock=debug."
  }
}

variable "log_retention_days" {
  description = "How many days logs are kept. Investigations of a sale begin weeks after it."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "One of the numbers of days that CloudWatch Logs knows."
  }
}

variable "tracing" {
  description = "Whether Lambda traces each function with X-Ray. Costs per trace; off by default."
  type        = bool
  default     = false
}

variable "otlp_endpoint" {
  description = "Collector for traces and metrics by OTLP over plain HTTP, reachable from the functions; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.otlp_endpoint == null || can(regex("^http://[^/]+(:[0-9]+)?$", var.otlp_endpoint))
    error_message = "An address like http://collector.internal:4318, without a path. The functions speak no TLS to a collector."
  }
}

variable "sizes" {
  description = "Memory, time limit and concurrency of functions, where they are to differ from functions.tf."
  type = map(object({
    memory_mb            = optional(number)
    timeout_secs         = optional(number)
    reserved_concurrency = optional(number)
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.sizes) : contains(keys(local.declared), name)])
    error_message = "Keys are names of functions."
  }
  validation {
    condition     = alltrue([for size in values(var.sizes) : try(size.memory_mb >= 128 && size.memory_mb <= 10240, size.memory_mb == null)])
    error_message = "memory_mb is from 128 to 10240."
  }
  validation {
    condition     = alltrue([for name, size in var.sizes : try(size.timeout_secs >= 1 && size.timeout_secs <= (name == "sweeper" ? 60 : 29), size.timeout_secs == null)])
    error_message = "timeout_secs is from 1 to 29 (the gateway gives up after 30 s), for the sweeper up to 60."
  }
  validation {
    condition     = alltrue([for size in values(var.sizes) : try(size.reserved_concurrency >= 1 && size.reserved_concurrency <= 10000, size.reserved_concurrency == null)])
    error_message = "reserved_concurrency is from 1 to 10000, within what the account has."
  }
}

variable "spike_concurrency" {
  description = "How many purchases are worked on at once: the reserved concurrency of spike, and the limit that keeps a rush from taking the account's whole concurrency. null: none is reserved (a new account has 10 in all, which cannot be divided)."
  type        = number
  default     = 300

  validation {
    condition     = var.spike_concurrency == null || try(var.spike_concurrency >= 1 && var.spike_concurrency <= 10000, false)
    error_message = "1 to 10000, or null."
  }
}

variable "writer_concurrency" {
  description = "How many batches of orders are written at once."
  type        = number
  default     = 50

  validation {
    condition     = var.writer_concurrency >= 2 && var.writer_concurrency <= 1000
    error_message = "2 to 1000, which is what an SQS event source takes."
  }
}

variable "rates" {
  description = "Multiples of a spike's stock: how many purchases one instance lets through at once, and per second. 0: no limit."
  type = object({
    burst  = optional(number, 2)
    refill = optional(number, 2)
  })
  default = {}

  validation {
    condition     = alltrue([for rate in values(var.rates) : rate >= 0 && rate <= 1000 && floor(rate) == rate])
    error_message = "Whole numbers from 0 to 1000."
  }
}

variable "throttle" {
  description = "Requests per second, and at once, that the gateway lets through on one route, and on each of the two that hash passwords. An account has 10,000 a second and 5,000 at once per region, for all its gateways."
  type = object({
    route_rate     = optional(number, 5000)
    route_burst    = optional(number, 5000)
    password_rate  = optional(number, 200)
    password_burst = optional(number, 400)
  })
  default = {}

  validation {
    condition     = alltrue([for limit in values(var.throttle) : limit >= 1 && limit <= 100000])
    error_message = "Each limit is from 1 to 100000."
  }
}

variable "verify_tokens_at_edge" {
  description = "Whether API Gateway checks access tokens before it calls a function. Its 401 is not a problem document; the functions check again either way."
  type        = bool
  default     = true
}

variable "warm_throughput" {
  description = "Requests per second that a table and its indexes are ready for from the first second, by table. A new table takes 12000 reads and 4000 writes; more is paid for once, and cannot be lowered."
  type = map(object({
    reads  = number
    writes = number
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.warm_throughput) : contains(keys(local.tables), name)])
    error_message = "Keys are names of tables: users, sessions, spikes, orders, claims, dead_letters."
  }
  validation {
    condition     = alltrue([for warm in values(var.warm_throughput) : warm.reads >= 12000 && warm.writes >= 4000])
    error_message = "At least 12000 reads and 4000 writes, which every table has."
  }
}

variable "deletion_protection" {
  description = "Whether tables refuse to be deleted, and secrets wait 30 days. Off only for systems that are to be torn down."
  type        = bool
  default     = true
}

variable "signing_keys" {
  description = "Keys of access tokens: slot to version. A slot's key is made anew when its version changes; all slots are published. Rotation: docs/aws.md."
  type        = map(number)
  default     = { a = 1 }

  validation {
    condition     = length(var.signing_keys) >= 1 && length(var.signing_keys) <= 3
    error_message = "1 to 3 slots."
  }
  validation {
    condition     = alltrue([for slot, version in var.signing_keys : can(regex("^[a-z]$", slot)) && version >= 1])
    error_message = "Slots are single letters, versions count from 1."
  }
}

variable "signing_key" {
  description = "The slot whose key signs new access tokens."
  type        = string
  default     = "a"

  validation {
    condition     = contains(keys(var.signing_keys), var.signing_key)
    error_message = "One of the slots in signing_keys."
  }
}

variable "secret_versions" {
  description = "Raise a number to replace that secret: the key of path tokens (tokens of the running minute end), the cache's password (functions reconnect when their instances are replaced)."
  type = object({
    path_token_key = optional(number, 1)
    stock_password = optional(number, 1)
  })
  default = {}

  validation {
    condition     = alltrue([for version in values(var.secret_versions) : version >= 1])
    error_message = "Versions count from 1."
  }
}

variable "prewarm" {
  description = "Provisioned concurrency of the hot functions before a sale, by the buyers that it expects: how long before the start, how long before it nothing is changed any more, the most instances of a function, and how many buyers one is enough for."
  type = object({
    lead_secs           = optional(number, 600)
    guard_secs          = optional(number, 120)
    instances_max       = optional(number, 100)
    buyers_per_instance = optional(number, 50)
  })
  default = {}

  validation {
    condition     = var.prewarm.guard_secs >= 1 && var.prewarm.guard_secs < var.prewarm.lead_secs && var.prewarm.lead_secs <= 86400
    error_message = "guard_secs is less than lead_secs, which is at most 86400."
  }
  validation {
    condition     = var.prewarm.instances_max >= 1 && var.prewarm.instances_max <= coalesce(try(var.sizes["spike"].reserved_concurrency, null), var.spike_concurrency, 10000)
    error_message = "instances_max is from 1 to what is reserved for spike: AWS provisions no more."
  }
  validation {
    condition     = var.prewarm.buyers_per_instance >= 1 && var.prewarm.buyers_per_instance <= 1000000
    error_message = "buyers_per_instance is from 1 to 1000000."
  }
}

variable "domain" {
  description = "A name of your own for the pages and the API, with its certificate in us-east-1. null: CloudFront's."
  type = object({
    name            = string
    certificate_arn = string
  })
  default = null

  validation {
    condition     = var.domain == null || can(regex("^arn:[^:]+:acm:us-east-1:", var.domain.certificate_arn))
    error_message = "CloudFront takes certificates of us-east-1 only."
  }
}

variable "price_class" {
  description = "Where CloudFront answers from."
  type        = string
  default     = "PriceClass_100"

  validation {
    condition     = contains(["PriceClass_100", "PriceClass_200", "PriceClass_All"], var.price_class)
    error_message = "PriceClass_100, PriceClass_200 or PriceClass_All."
  }
}

variable "firewall_rate" {
  description = "Requests of one address within five minutes after which AWS WAF blocks it; null: no firewall (it costs 6 USD a month and 0.60 USD per million requests)."
  type        = number
  default     = null

  validation {
    condition     = var.firewall_rate == null || try(var.firewall_rate >= 10 && var.firewall_rate <= 2000000000, false)
    error_message = "10 to 2000000000, or null."
  }
}

variable "alarm_emails" {
  description = "Who hears of alarms and of the budget. Each address gets a mail to confirm."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "Mail addresses."
  }
}

variable "budget_usd" {
  description = "Monthly budget; 80 % spent, and 100 % expected, are told to the alarms' topic. null: none."
  type        = number
  default     = 100

  validation {
    condition     = var.budget_usd == null || try(var.budget_usd > 0, false)
    error_message = "More than 0, or null."
  }
}
