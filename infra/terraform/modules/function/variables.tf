variable "name" {
  description = "The Lambda function's name."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9-_]{1,64}$", var.name))
    error_message = "1 to 64 letters, digits, hyphens and underscores."
  }
}

variable "alias" {
  description = "The alias that everybody calls; it follows the newest version."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+$", var.alias))
    error_message = "Lower-case letters."
  }
}

variable "description" {
  description = "What the function does, in a sentence."
  type        = string

  validation {
    condition     = length(var.description) > 0 && length(var.description) <= 256
    error_message = "1 to 256 characters."
  }
}

variable "partition" {
  description = "The account's partition: aws, aws-cn or aws-us-gov."
  type        = string

  validation {
    condition     = startswith(var.partition, "aws")
    error_message = "A partition of AWS."
  }
}

variable "package" {
  description = "The zip with the binary `bootstrap`."
  type        = string

  validation {
    condition     = fileexists(var.package)
    error_message = "There is no such zip: run scripts/package-lambda, or set package_dir."
  }
}

variable "architecture" {
  description = "What the binary was built for."
  type        = string

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "arm64 or x86_64."
  }
}

variable "memory_mb" {
  description = "Memory, and with it the share of a core: 1769 is a whole one."
  type        = number

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "128 to 10240."
  }
}

variable "timeout_secs" {
  description = "After what time an invocation is ended."
  type        = number

  validation {
    condition     = var.timeout_secs >= 1 && var.timeout_secs <= 900
    error_message = "1 to 900."
  }
}

variable "reserved_concurrency" {
  description = "How many instances there may be, kept free for this function; null: what the account has left."
  type        = number
  default     = null

  validation {
    condition     = var.reserved_concurrency == null || try(var.reserved_concurrency >= 1, false)
    error_message = "At least 1, or null."
  }
}

variable "log_retention_days" {
  description = "How many days logs are kept."
  type        = number

  validation {
    condition     = var.log_retention_days >= 1
    error_message = "At least 1."
  }
}

variable "tracing" {
  description = "Whether X-Ray traces the function."
  type        = bool
}

variable "environment" {
  description = "Environment variables. Never a secret: they are readable by whoever may look at the function."
  type        = map(string)

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "Names are upper-case letters, digits and underscores."
  }
}

variable "network" {
  description = "Private subnets and security groups, for a function that speaks to the cache; null: outside of any VPC."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null

  validation {
    condition     = var.network == null || try(length(var.network.security_group_ids) > 0, false)
    error_message = "At least one security group."
  }
}

variable "statements" {
  description = "What the function may do, besides writing its log."
  type = list(object({
    actions   = list(string)
    resources = list(string)
  }))

  validation {
    condition     = alltrue(flatten([for statement in var.statements : [for resource in statement.resources : !strcontains(resource, "*")]]))
    error_message = "Resources are named, without a wildcard."
  }
  validation {
    condition     = alltrue(flatten([for statement in var.statements : [for action in statement.actions : !strcontains(action, "*")]]))
    error_message = "Actions are named, without a wildcard."
  }
}
