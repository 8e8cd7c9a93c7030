//! What AWS asks for a request: list prices of us-east-1 in US dollars, without free tiers and discounts.
//!
//! Of the pricing pages of S3 (Standard, "Requests & data retrievals"), SQS, Lambda and Glue ("Data Catalog"), as public
//! copies of them from 2026 have it. Read them again before a number is quoted.

/// The price of one million requests of an operation, by AWS's name of it; `None` for one that is not listed here.
pub fn per_million(operation: &str, grouped: bool) -> Option<f64> {
    Some(match operation {
        // "PUT, COPY, POST, LIST requests (per 1,000 requests)": 0.005. Each call of an upload in parts is one.
        "PutObject"
        | "CopyObject"
        | "ListObjectsV2"
        | "ListMultipartUploads"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload"
        | "PutObjectTagging" => 5.0,
        // "GET, SELECT, and all other requests (per 1,000 requests)": 0.0004.
        "GetObject" | "GetObjectVersion" | "HeadObject" => 0.4,
        // "DELETE and CANCEL requests are free"; STS is too.
        "DeleteObject" | "AbortMultipartUpload" | "AssumeRole" => 0.0,
        // Per million requests, up to 64 KB of payload each: 0.40; FIFO 0.50; on a standard queue with message groups
        // (fair queues) 0.10 more than 0.40.
        "SendMessage" | "ReceiveMessage" | "DeleteMessage" | "ChangeMessageVisibility" => {
            if grouped {
                0.5
            } else {
                0.4
            }
        }
        // Requests to the catalog: 1.00 per million.
        "GetTable"
        | "GetDatabase"
        | "CreateDatabase"
        | "CreateTable"
        | "GetPartition"
        | "GetPartitions"
        | "BatchGetPartition"
        | "BatchCreatePartition" => 1.0,
        // Requests of a function; the time it runs is another matter.
        "Invoke" => 0.2,
        _ => return None,
    })
}
