# Where the cache and its functions are, and how far the cache may grow.

variable "network" {
  description = "An existing VPC for the cache and the functions that use it: private subnets in at least two zones. null: one is made. `endpoints` says whether DynamoDB, SQS and Secrets Manager need endpoints made in it."
  type = object({
    vpc_id          = string
    subnet_ids      = list(string)
    route_table_ids = optional(list(string), [])
    endpoints       = optional(bool, true)
  })
  default = null

  validation {
    condition     = var.network == null || try(length(distinct(var.network.subnet_ids)) >= 2, false)
    error_message = "At least two subnets, in different zones."
  }
  validation {
    condition     = var.network == null || try(!var.network.endpoints || length(var.network.route_table_ids) > 0, false)
    error_message = "The gateway endpoint of DynamoDB needs the route tables of the subnets."
  }
}

variable "network_cidr" {
  description = "Addresses of the VPC that is made; not used with an existing one."
  type        = string
  default     = "10.42.0.0/16"

  validation {
    condition     = can(cidrsubnet(var.network_cidr, 4, 15)) && try(tonumber(split("/", var.network_cidr)[1]) <= 20, false)
    error_message = "An IPv4 block of /20 or larger, for instance 10.42.0.0/16."
  }
}

variable "zones" {
  description = "How many availability zones the VPC that is made has. Interface endpoints are paid for per zone."
  type        = number
  default     = 2

  validation {
    condition     = contains([2, 3], var.zones)
    error_message = "2 or 3."
  }
}

variable "nat_gateway" {
  description = "Whether functions in the VPC that is made may reach the internet. Nothing of ours needs it."
  type        = bool
  default     = false
}

variable "cache" {
  description = "An existing Redis or Valkey with TLS and a password, noeviction, and no other tenant: the security group that admits functions, its port, and the ARN of the secret whose text is rediss://[USER]:PASSWORD@HOST:PORT. Needs `network`. null: one is made."
  type = object({
    security_group_id = string
    port              = optional(number, 6379)
    url_secret_arn    = string
  })
  default = null

  validation {
    condition     = var.cache == null || var.network != null
    error_message = "An existing cache is in an existing VPC: set network too."
  }
  validation {
    condition     = var.cache == null || can(regex("^arn:[^:]+:secretsmanager:", var.cache.url_secret_arn))
    error_message = "url_secret_arn is the ARN of a secret in Secrets Manager."
  }
}

variable "cache_limits" {
  description = "How far the cache that is made may grow: gigabytes, and ElastiCache processing units per second."
  type = object({
    storage_gb        = optional(number, 5)
    ecpu_per_sec_max  = optional(number, 50000)
    ecpu_per_sec_min  = optional(number, null)
    snapshots_max     = optional(number, 7)
    snapshot_time_utc = optional(string, "03:00")
  })
  default = {}

  validation {
    condition     = var.cache_limits.storage_gb >= 1 && var.cache_limits.storage_gb <= 5000
    error_message = "storage_gb is from 1 to 5000."
  }
  validation {
    condition     = var.cache_limits.ecpu_per_sec_max >= 1000 && var.cache_limits.ecpu_per_sec_max <= 15000000
    error_message = "ecpu_per_sec_max is from 1000 to 15000000."
  }
  validation {
    condition     = var.cache_limits.ecpu_per_sec_min == null || try(var.cache_limits.ecpu_per_sec_min >= 1000 && var.cache_limits.ecpu_per_sec_min <= var.cache_limits.ecpu_per_sec_max, false)
    error_message = "ecpu_per_sec_min is from 1000 to ecpu_per_sec_max, or null."
  }
}
